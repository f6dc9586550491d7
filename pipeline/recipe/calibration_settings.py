"""The recipe's field `calibration`: the number of cases of known truth, and the floor that the judge must reach."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field, model_validator

from underpaint.pipeline.recipe.corpus_settings import Section
from underpaint.schemas.scenes.critique import Side


class SideFloor(Section):
    """The least shares on one side; what is not given is not asked for. Of all figures
    (`pipeline.selection.judge_gate.FIGURES`) these may have a floor."""

    precision: float | None = Field(
        default=None, ge=0, le=1, description="of the cases called wrong, those that are wrong"
    )
    recall: float | None = Field(default=None, ge=0, le=1, description="of the wrong cases, those called wrong")
    incomplete_accepted: float | None = Field(
        default=None, ge=0, le=1, description="of the right but unfinished cases, those not called wrong"
    )
    answered: float | None = Field(
        default=None, ge=0, le=1, description="of all cases, those with an answer that counts"
    )
    own_verdicts: float | None = Field(
        default=None, ge=0, le=1,
        description="of the judge's single answers, those right by themselves, before observations are weighed",
    )  # fmt: skip


class Floor(Section):
    """What the judge must reach. The first three hold for a whole build, calibrated or not, and stop it as soon as they
    are broken beyond chance (`pipeline.selection.judge_watch`)."""

    unread: float = Field(
        default=0.2, ge=0, lt=1,
        description="the greatest share of answers to one template that cannot be read, of judge or writer",
    )  # fmt: skip
    canaries: float = Field(
        default=0.7, ge=0, le=1,
        description="the least share of right answers to unmistakable questions of known truth, asked during the build:"
        " of each kind, plain and swapped pictures, swapped prompts and steps that are as asked",
    )  # fmt: skip
    edits: float = Field(
        default=0.0, ge=0, le=1,
        description="the least recall of the judge where one word of an accepted step was changed, on each side",
    )  # fmt: skip

    text: SideFloor = Field(default=SideFloor(), description="the step's texts: what the conflict subset rests on")
    picture: SideFloor = Field(
        default=SideFloor(), description="the step's picture: what the multi-turn and alignment subsets rest on"
    )

    def of(self, side: Side) -> Iterator[tuple[str, float]]:
        """(name, least share) of every figure that has a floor on this side."""
        for name, least in getattr(self, side.value):
            if least is not None:
                yield name, least


class CalibrationSettings(Section):
    """The judge against known truth. A build ships no subset whose judge stays under the floor (docs/judging.md)."""

    cases: int = Field(
        default=0, ge=0, le=1_000_000,
        description="asked about on each side, rounded up to whole lots; 0 is no calibration",
    )  # fmt: skip
    floor: Floor = Field(default=Floor(), description="what the judge must reach")
    ship_anyway: bool = Field(default=False, description="builds the corpus even where the judge stays under the floor")

    @model_validator(mode="after")
    def _measured(self) -> CalibrationSettings:
        if self.cases == 0 and any(list(self.floor.of(side)) for side in Side):
            raise ValueError("a floor needs cases to be measured on; set cases to 200 or so")
        return self

    def lots(self, size: int) -> int:
        """How many lots of `size` cases the calibration takes."""
        return math.ceil(self.cases / size)
