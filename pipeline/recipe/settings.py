"""The part of a recipe that says which corpus is wanted: how many samples of each kind, and how good."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from underpaint.pipeline.recipe.quotas import PAPER, Cells, Quota, largest_remainder, proportional
from underpaint.stages.common.recipe_paths import RecipePath


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Quotas(Strict):
    """Either `total` (the paper's proportions, by largest remainder) or all five numbers; neither: the paper's 62,213.

    `categories` gives relative shares within a subset, e.g. ``{multi_turn: {counting: 2, position: 1}}``: a category
    that is not named gets no sample. A subset without shares takes its categories as they come.
    """

    total: int | None = Field(default=None, ge=5)
    multi_turn: int | None = Field(default=None, ge=0)
    conflict_positive: int | None = Field(default=None, ge=0)
    conflict_negative: int | None = Field(default=None, ge=0)
    alignment_positive: int | None = Field(default=None, ge=0)
    alignment_negative: int | None = Field(default=None, ge=0)
    categories: dict[Literal["multi_turn", "conflict", "alignment"], dict[str, Annotated[float, Field(gt=0)]]] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _one_way(self) -> Quotas:
        given = [n for n in PAPER if getattr(self, n) is not None]
        if self.total is not None and given:
            raise ValueError(f"give either total or the five numbers, not both total and {given[0]}")
        if given and len(given) != len(PAPER):
            missing = next(n for n in PAPER if n not in given)
            raise ValueError(f"{missing} is missing; give total, or all of {', '.join(PAPER)}")
        for subset, shares in self.categories.items():
            if not shares:
                raise ValueError(f"categories.{subset} names no category; leave it out to take them as they come")
        return self

    def numbers(self) -> Quota:
        """Samples wanted by kind: subset and polarity."""
        if self.total is not None:
            return proportional(self.total)
        return {n: PAPER[n] if getattr(self, n) is None else int(getattr(self, n)) for n in PAPER}

    def cells(self) -> Cells:
        """Samples wanted by kind and category, "" where a kind takes them as they come."""
        found: Cells = {}
        for kind, number in self.numbers().items():
            shares = next((s for subset, s in self.categories.items() if kind.startswith(subset)), {"": 1.0})
            found |= {(kind, category): n for category, n in largest_remainder(number, shares).items()}
        return found


class Rounds(Strict):
    """How far a build may go to meet its quotas: `max_rounds` rounds, `max_lots` lots on each branch.

    The first round runs `pilot` lots a branch, from whose yields the next rounds are sized.
    """

    max_rounds: int = Field(default=8, ge=1)
    max_lots: int = Field(default=10_000, ge=1)
    pilot: int = Field(default=2, ge=1)


class Quantile(Strict):
    """A threshold by rank: the score below which this share of all candidates of a kind lies."""

    quantile: float = Field(ge=0, lt=1)


Threshold = Annotated[
    Annotated[float, Tag("number")] | Annotated[Quantile, Tag("by rank")],
    Discriminator(lambda value: "by rank" if isinstance(value, dict | Quantile) else "number"),
]


class Select(Strict):
    """Thresholds on stored scores and agreements; changing one recomputes no model's answer.

    Each is a number or a quantile, e.g. ``min_margin: 0.05`` or ``min_margin: {quantile: 0.1}``, and holds for every
    candidate that has such a score: `picture_text` is the worst of a trajectory's pictures, the draft of a positive,
    the correction of a negative; `neighbour` of a trajectory and of a correction; `margin` of a correction.
    """

    min_agreement: Threshold = Field(default=0.0, description="share of the judge's answers")
    min_picture_text: Threshold = Field(default=-1.0, description="CLIP cosine of a picture and its description")
    min_neighbour: Threshold = Field(default=-1.0, description="CLIP cosine of a picture and the one before it")
    min_margin: Threshold = Field(default=-2.0, description="picture_text of the correction minus the flawed draft's")
    validation_share: float = Field(default=0.05, ge=0, lt=1)

    @field_validator("min_agreement", "min_picture_text", "min_neighbour", "min_margin")
    @classmethod
    def _in_range(cls, threshold: float | Quantile, info: ValidationInfo) -> float | Quantile:
        low, high = {"min_agreement": (0, 1), "min_margin": (-2, 2)}.get(str(info.field_name), (-1, 1))
        if isinstance(threshold, float) and not low <= threshold <= high:
            raise ValueError(f"is {threshold}; give a number from {low} to {high}, or {{quantile: 0.1}}")
        return threshold


class Decontaminate(Strict):
    """Prompt lists of benchmarks (GenEval's JSON lines, WISE's JSON, plain text) that the corpus must not share.

    A line that the grammar reads is compared as a scene, any other by `words` words in a row.
    """

    lists: tuple[RecipePath, ...] = ()
    words: int = Field(default=8, ge=2, le=64)
