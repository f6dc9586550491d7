"""Figures over a published corpus, and some of its samples whole: what the report says of the shards themselves."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from underpaint.pipeline.corpus.shard import read_members
from underpaint.pipeline.selection.reference import SUBSETS
from underpaint.schemas.corpus.sample import Sample
from underpaint.schemas.corpus.webdataset import decode
from underpaint.schemas.interval import Share

KINDS = {v: k for k, v in SUBSETS.items()}
SIDES = {"conflict_negative": "text", "alignment_negative": "picture"}


@dataclass
class Facts:
    """Counts over all samples of a corpus; `shown` holds the first of every kind, with their pictures' files."""

    samples: int = 0
    words: int = 0  # of all prompts
    pictures: Counter[int] = field(default_factory=Counter)  # trajectories by their number of pictures
    detours: Counter[str] = field(default_factory=Counter)  # trajectories
    ops: Counter[str] = field(default_factory=Counter)  # steps of trajectories
    categories: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # category → kind
    judged: Counter[str] = field(default_factory=Counter)  # negatives by the side that was judged
    findings: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # side → kind of fault
    shown: dict[str, list[tuple[Sample, list[bytes]]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def mean_pictures(self) -> float:
        return sum(n * count for n, count in self.pictures.items()) / max(1, self.pictures.total())

    def finding_shares(self, side: str) -> dict[str, Share]:
        """Of the negatives of a side, the share that names a fault of each kind, the most frequent first."""
        return {kind: Share(n, self.judged[side]) for kind, n in self.findings[side].most_common()}


def read_facts(corpus: Path, show: int = 0) -> Facts:
    """One pass over the shards; pictures are read only of the `show` samples kept of every kind."""
    facts = Facts()
    for shard in sorted(corpus.glob("*/*.tar")):
        for key, members in read_members(shard):
            sample = json.loads(members[f"{key}.json"].read())
            kind = KINDS[sample["subset"], sample["polarity"]]
            _count(facts, kind, sample)
            if len(facts.shown[kind]) < show:
                facts.shown[kind].append(decode({name: member.read() for name, member in members.items()}))
    return facts


def _count(facts: Facts, kind: str, sample: dict[str, Any]) -> None:
    extra = json.loads(sample["extra"])
    facts.samples += 1
    facts.words += len(sample["prompt"].split())
    facts.categories[sample["category"]][kind] += 1
    if kind == "multi_turn":
        facts.pictures[sample["n_images"]] += 1
        facts.detours[extra["detour"] or "none"] += 1
        facts.ops.update(s["op"] for s in sample["segments"] if s["stage"] == "plan")
    if side := SIDES.get(kind):
        facts.judged[side] += 1
        facts.findings[side].update({f["kind"] for f in extra["critique"]["findings"]})
