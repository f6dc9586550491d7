"""The recipe's field `calibration`: the number of cases of known truth, and the floor that the judge must reach."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field, model_validator

from underpaint.pipeline.recipe.settings import Strict
from underpaint.schemas.scenes.critique import Side

At = Field(default=None, ge=0, le=1)


class SideFloor(Strict):
    """The least shares that the judge must reach on one side; `pipeline.selection.judge_gate.FIGURES` explains them."""

    precision: float | None = At
    recall: float | None = At
    incomplete_accepted: float | None = At
    answered: float | None = At
    own_verdicts: float | None = At


class Floor(Strict):
    """The floor of either side of the judge."""

    text: SideFloor = SideFloor()
    picture: SideFloor = SideFloor()

    def of(self, side: Side) -> Iterator[tuple[str, float]]:
        """(name, least share) of every figure that has a floor on this side."""
        for name, least in getattr(self, side.value):
            if least is not None:
                yield name, least


class CalibrationSettings(Strict):
    """`cases` is the number of cases per side, rounded up to whole lots; 0 means no calibration.

    A build ships no subset whose judge is below the `floor`, unless `ship_anyway`.
    """

    cases: int = Field(default=0, ge=0, le=1_000_000)
    floor: Floor = Floor()
    ship_anyway: bool = False

    @model_validator(mode="after")
    def _measured(self) -> CalibrationSettings:
        if self.cases == 0 and any(list(self.floor.of(side)) for side in Side):
            raise ValueError("a floor needs cases to be measured on; set cases to 200 or so")
        return self

    def lots(self, size: int) -> int:
        """How many lots of `size` cases the calibration takes."""
        return math.ceil(self.cases / size)
