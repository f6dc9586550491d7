"""Reads a corpus' shards for the report: counts over all samples, and some samples to show."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from underpaint.pipeline.corpus.shard import read_members
from underpaint.schemas.corpus.sample import Sample
from underpaint.schemas.corpus.subsets import SAMPLE_KINDS, SUBSETS, SampleKind
from underpaint.schemas.corpus.webdataset import decode
from underpaint.schemas.interval import Share


@dataclass
class Facts:
    """Counts over all samples of a corpus; `shown` holds the first ones of every kind, with their pictures' files."""

    samples: int = 0
    words: int = 0  # of all prompts together
    pictures: Counter[int] = field(default_factory=Counter)  # trajectories by their number of pictures
    detours: Counter[str] = field(default_factory=Counter)  # trajectories by kind of detour
    ops: Counter[str] = field(default_factory=Counter)  # steps of trajectories by op
    categories: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # category → kind
    checked: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # who checked → kind
    judged: Counter[str] = field(default_factory=Counter)  # negatives by the side that was judged
    findings: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # side → kind of fault
    shown: dict[str, list[tuple[Sample, list[bytes]]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def mean_pictures(self) -> float:
        """The mean number of pictures of a trajectory."""
        return sum(n * count for n, count in self.pictures.items()) / max(1, self.pictures.total())

    def finding_shares(self, side: str) -> dict[str, Share]:
        """For every kind of fault, the share of a side's negatives that name it; the most frequent first."""
        return {kind: Share(n, self.judged[side]) for kind, n in self.findings[side].most_common()}


def read_facts(corpus: Path, show: int = 0) -> Facts:
    """Read the shards in one pass. Pictures are read only for the first `show` samples of every kind."""
    facts = Facts()
    for shard in sorted(corpus.glob("*/*.tar")):
        for key, members in read_members(shard):
            sample = json.loads(members[f"{key}.json"].read())
            kind = SUBSETS[sample["subset"]].kind(sample["polarity"])
            _count(facts, SAMPLE_KINDS[kind], sample)
            if len(facts.shown[kind]) < show:
                facts.shown[kind].append(decode({name: member.read() for name, member in members.items()}))
    return facts


def _count(facts: Facts, kind: SampleKind, sample: dict[str, Any]) -> None:
    extra = json.loads(sample["extra"])
    facts.samples += 1
    facts.words += len(sample["prompt"].split())
    facts.categories[sample["category"]][kind.name] += 1
    facts.checked[extra.get("checked_by", "nobody")][kind.name] += 1
    if kind.subset.whole_trajectory:
        facts.pictures[sample["n_images"]] += 1
        facts.detours[extra["detour"] or "none"] += 1
        facts.ops.update(s["op"] for s in sample["segments"] if s["stage"] == "plan")
    if kind.polarity == "negative":
        side = kind.subset.judged
        facts.judged[side] += 1
        facts.findings[side].update({f["kind"] for f in extra["critique"]["findings"]})
