"""The recipe's `calibration`: how many cases of known truth the judge is asked about, and the least it must reach."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field, model_validator

from underpaint.pipeline.recipe.settings import Strict
from underpaint.schemas.scenes.critique import Side

At = Field(default=None, ge=0, le=1)


class SideFloor(Strict):
    """The least shares on one side; what is not given is not asked for. See `pipeline.selection.judge_gate.FIGURES`."""

    precision: float | None = At
    recall: float | None = At
    incomplete_accepted: float | None = At
    answered: float | None = At
    own_verdicts: float | None = At


class Floor(Strict):
    text: SideFloor = SideFloor()
    picture: SideFloor = SideFloor()

    def of(self, side: Side) -> Iterator[tuple[str, float]]:
        """The figures that a side must reach, by name."""
        for name, least in getattr(self, side.value):
            if least is not None:
                yield name, least


class CalibrationSettings(Strict):
    """`cases` of each side, rounded up to whole lots; 0 is no calibration.

    A build ships no subset whose judge stays under the `floor`, unless it is told to `ship_anyway`.
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
        return math.ceil(self.cases / size)
