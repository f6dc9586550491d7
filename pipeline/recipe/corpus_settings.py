"""The recipe's fields that say which corpus is wanted: quotas, rounds, thresholds and benchmark lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pydantic
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from underpaint.pipeline.recipe.quotas import PAPER, Quota, QuotaCells, largest_remainder, proportional
from underpaint.schemas.corpus.sample import SubsetName
from underpaint.schemas.corpus.subsets import SAMPLE_KINDS, SUBSETS
from underpaint.stages.common.checkers import CheckedBy
from underpaint.stages.common.recipe_paths import RecipePath


class Section(BaseModel):
    """Base of the recipe's fields: frozen, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


if TYPE_CHECKING:
    KindNumbers = Section
    SubsetShards = Section
else:  # fields from the registry, which pydantic checks as it does those written out
    _numbers = {n: (int | None, Field(default=None, ge=0, description=k.title)) for n, k in SAMPLE_KINDS.items()}
    _shards = {n: "its train shards" for n in SUBSETS} | {"validation": "validation shards of every subset"}
    _shards = {n: (int | None, Field(default=None, ge=1, le=100_000, description=d)) for n, d in _shards.items()}
    KindNumbers = pydantic.create_model("KindNumbers", __base__=Section, **_numbers)
    SubsetShards = pydantic.create_model("SubsetShards", __base__=Section, **_shards)


class Quotas(KindNumbers):
    """How many samples of each kind: either `total` or a number for each; neither: the paper's 62,213.

    Kinds that the paper has not may be left out.
    """

    total: int | None = Field(
        default=None, ge=5, description="samples in all, in the paper's proportions (by largest remainder)"
    )
    categories: dict[SubsetName, dict[str, Annotated[float, Field(gt=0)]]] = Field(
        default_factory=dict,
        description="relative shares within a subset, e.g. `{multi_turn: {counting: 2, position: 1}}`: a category that"
        " is not named gets no sample; a subset without shares takes its categories as they come",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Quotas:
        given = [n for n in PAPER if getattr(self, n) is not None]
        if self.total is not None and given:
            raise ValueError(f"give either total or the numbers of kinds, not both total and {given[0]}")
        needed = [n for n, number in PAPER.items() if number]
        if given and (missing := [n for n in needed if n not in given]):
            raise ValueError(f"{missing[0]} is missing; give total, or all of {', '.join(needed)}")
        for subset, shares in self.categories.items():
            if not shares:
                raise ValueError(f"categories.{subset} names no category; leave it out to take them as they come")
        return self

    def numbers(self) -> Quota:
        """The number of samples wanted of each kind (subset and polarity)."""
        if self.total is not None:
            return proportional(self.total)
        return {n: PAPER[n] if getattr(self, n) is None else int(getattr(self, n)) for n in PAPER}

    def cells(self) -> QuotaCells:
        """The number of samples wanted by kind and category; category "" for kinds that take them as they come."""
        found: QuotaCells = {}
        for kind, number in self.numbers().items():
            shares = self.categories.get(SAMPLE_KINDS[kind].subset.name, {"": 1.0})
            found |= {(kind, category): n for category, n in largest_remainder(number, shares).items()}
        return found


class Rounds(Section):
    """How far a build may go to meet its quotas."""

    max_rounds: int = Field(default=8, ge=1, description="rounds; each runs as many lots as the yields so far ask for")
    max_lots: int = Field(default=10_000, ge=1, description="lots on each branch, over all rounds")
    pilot: int = Field(
        default=2, ge=1, description="lots a branch of the first round, from whose yields the next are sized"
    )


class Quantile(Section):
    """A threshold by rank: the score below which this share of all candidates of a kind lies."""

    quantile: float = Field(ge=0, lt=1, description="the share of candidates that falls below the threshold")


Threshold = Annotated[
    Annotated[float, Tag("number")] | Annotated[Quantile, Tag("by rank")],
    Discriminator(lambda value: "by rank" if isinstance(value, dict | Quantile) else "number"),
]


class Select(Section):
    """Thresholds on stored scores and agreements; changing one recomputes no model's answer.

    Each is a number or a quantile, e.g. ``min_margin: 0.05`` or ``min_margin: {quantile: 0.1}``, and holds for every
    candidate that has such a score.
    """

    min_agreement: Threshold = Field(
        default=0.0, description="share of the judge's answers on the verdict's side, 0 to 1"
    )
    min_picture_text: Threshold = Field(
        default=-1.0,
        description="CLIP cosine of a picture and its description, -1 to 1: the worst of a trajectory's pictures, the"
        " draft of a positive, the correction of a negative",
    )
    min_neighbour: Threshold = Field(
        default=-1.0,
        description="CLIP cosine of a picture and the one before it, -1 to 1, of a trajectory and of a correction",
    )
    min_margin: Threshold = Field(
        default=-2.0,
        description="the correction's `picture_text` minus that of the flawed draft, -2 to 2",
    )
    checked_by: tuple[CheckedBy, ...] = Field(
        default=("grammar", "model"), min_length=1,
        description="who may have checked a sample's texts: the grammar, a model where it cannot read them, nobody",
    )  # fmt: skip
    validation_share: float = Field(
        default=0.05, ge=0, lt=1, description="probability that a sample's scene goes to the validation split"
    )

    @field_validator("min_agreement", "min_picture_text", "min_neighbour", "min_margin")
    @classmethod
    def _in_range(cls, threshold: float | Quantile, info: ValidationInfo) -> float | Quantile:
        low, high = {"min_agreement": (0, 1), "min_margin": (-2, 2)}.get(str(info.field_name), (-1, 1))
        if isinstance(threshold, float) and not low <= threshold <= high:
            raise ValueError(f"is {threshold}; give a number from {low} to {high}, or {{quantile: 0.1}}")
        return threshold


class Decontaminate(Section):
    """Prompt lists of benchmarks (GenEval's JSON lines, WISE's JSON, plain text) with which no prompt may be shared.

    A line that the grammar reads is compared as a scene, any other by words in a row.
    """

    lists: tuple[RecipePath, ...] = Field(default=(), description="files, relative to the recipe")
    words: int = Field(default=8, ge=2, le=64, description="in a row, in both: then two prompts count as the same")
