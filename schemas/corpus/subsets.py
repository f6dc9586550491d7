"""What the corpus is made of: its subsets and their kinds of sample, each declared here and nowhere else.

A *subset* teaches one task and has shards of its own. A *sample kind* is a subset and a polarity: it is what quotas,
candidates and human decisions name, e.g. "conflict_negative". CONTRIBUTING.md shows how a subset is added.

Standard library only, Python 3.10 and up: readers of shards import this too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Polarity = Literal["none", "positive", "negative"]


@dataclass(frozen=True)
class Subset:
    """One task of the corpus. Its name is its folder's and its config's in the dataset card."""

    name: str
    abbreviation: str  # three letters: how the ids and shards of its samples begin
    branch: str  # the branch of the stage graph that yields its candidates
    judged: Literal["text", "picture"]  # the side of the judge that it rests on
    shards: int  # for training, of a corpus as large as the paper's; a power of two
    teaches: str  # for the dataset card
    context: frozenset[str]  # stages of segments without loss; all others are targets
    whole_trajectory: bool = False  # from a prompt to its last picture, not an excerpt of one

    def kind(self, polarity: str) -> str:
        """The name of its samples of a polarity: "conflict_negative"; "multi_turn" where it is "none"."""
        return self.name if polarity == "none" else f"{self.name}_{polarity}"


@dataclass(frozen=True)
class SampleKind:
    """The samples of one subset and polarity.

    `order` is a regular expression over the stages of the segments, with one blank between two stages. Where the
    polarity is "negative", and only there, the last inspect gives the verdict "conflict".
    """

    subset: Subset
    polarity: Polarity
    paper: int  # samples in the paper's corpus; 0: the paper has no such samples, and recipes may leave them out
    order: str
    title: str  # for the report

    @property
    def name(self) -> str:
        """As quotas and tables name it, e.g. "conflict_negative"."""
        return self.subset.kind(self.polarity)


# What is inspected is context, right or wrong: a flawed draft must never be a target.
_INSPECTED = frozenset({"prompt", "plan", "sketch"})

# 32,012 + (6,905 + 8,296) + (5,000 + 10,000) samples make the paper's corpus. In these numbers of shards some 250 each
# go into one, and eight ranks of eight workers share them evenly: loaders floor when they divide, so of 60 shards those
# 64 workers would read none.
MULTI_TURN = Subset(
    "multi_turn", "mtg", branch="painted", judged="picture", shards=128,  # no draft is shipped that the judge rejects
    teaches="Plan and Sketch: whole trajectories from a prompt to a picture",
    context=frozenset({"prompt"}), whole_trajectory=True,
)  # fmt: skip
CONFLICT = Subset(
    "conflict", "iic", branch="sampled", judged="text", shards=64,
    teaches="Inspect, text side: does this step's text contradict the prompt?", context=_INSPECTED,
)  # fmt: skip
ALIGNMENT = Subset(
    "alignment", "iia", branch="sampled", judged="picture", shards=64,
    teaches="Inspect and Refine, picture side: does this draft show what the step asked?", context=_INSPECTED,
)  # fmt: skip

_KINDS = (
    SampleKind(MULTI_TURN, "none", 32_012, "prompt( plan sketch)+", "Multi-turn generation"),
    SampleKind(CONFLICT, "positive", 6_905, "prompt( plan sketch)* plan inspect",
        "Conflict, positive: the step's text agrees with the prompt"),
    SampleKind(CONFLICT, "negative", 8_296, "prompt( plan sketch)* plan inspect refine",
        "Conflict, negative: the step's text contradicts the prompt"),
    SampleKind(ALIGNMENT, "positive", 5_000, "prompt plan sketch inspect",
        "Alignment, positive: the draft shows what the step asks for"),
    SampleKind(ALIGNMENT, "negative", 10_000, "prompt plan sketch inspect refine repaint",
        "Alignment, negative: the draft does not; analysis, correction, corrected picture"),
)  # fmt: skip
SAMPLE_KINDS = {kind.name: kind for kind in _KINDS}  # in the order in which reports show them
SUBSETS = {kind.subset.name: kind.subset for kind in _KINDS}
ABBREVIATION = "|".join(subset.abbreviation for subset in SUBSETS.values())  # any of them, as a regular expression


def kinds_of(subset: str) -> list[str]:
    """The names of a subset's kinds."""
    return [name for name, kind in SAMPLE_KINDS.items() if kind.subset.name == subset]
