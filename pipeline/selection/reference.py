"""References to chosen samples: where each comes from in the store. They are the lines of selection.jsonl."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from underpaint.schemas.corpus.subsets import SAMPLE_KINDS, SampleKind


@dataclass(frozen=True)
class Reference:
    """One chosen sample, without its texts and pictures. `name` is its kind, `group` its scene's key."""

    name: str
    sample: int
    rollout: int
    step: int
    category: str
    group: str
    pictures: int  # how many the sample holds
    id: str = ""
    split: str = ""
    checked_by: str = "nobody"  # who checked its texts; see stages.candidates

    @property
    def kind(self) -> SampleKind:
        """Its subset and polarity, as the registry declares them."""
        return SAMPLE_KINDS[self.name]

    @property
    def subset(self) -> str:
        """The subset that the sample belongs to."""
        return self.kind.subset.name


def to_json(references: Sequence[Reference]) -> str:
    """The selection as JSON lines, one reference per line."""
    return "".join(json.dumps(asdict(r), sort_keys=True) + "\n" for r in references)
