"""Simulates BAGEL's packer on lengths alone, to show what a setting trains on and what it silently drops.

The rules are those of `PackedDataset.__iter__` (ByteDance-Seed/Bagel, data/dataset_base.py). A sample over the limit is
skipped. One that does not fit into the pack is buffered. If the buffer is full, or the sample came from the buffer, the
pack is closed and that sample is lost.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from underpaint.pipeline.training.sequence import ItemKind


@dataclass(frozen=True)
class Packing:
    """The packer's settings, in tokens; the defaults are BAGEL's."""

    max_num_tokens_per_sample: int = 16384
    max_num_tokens: int = 36864
    expected_num_tokens: int = 32768
    prefer_buffer_before: int = 16384
    max_buffer_size: int = 50


BAGEL_DEFAULTS = Packing()
RECOMMENDED = Packing(max_num_tokens_per_sample=33000, expected_num_tokens=33000)
DROPOUT: Mapping[ItemKind, float] = {"text": 0.1, "vae_image": 0.1, "vit_image": 0.4}  # BAGEL's, for guidance


@dataclass(frozen=True)
class Packable:
    """A sequence as the packer sees it: of every item the number of tokens and the rate at which it is dropped."""

    kind: str
    items: tuple[tuple[int, float], ...]

    @property
    def length(self) -> int:
        """The length in tokens without dropout, which is compared with the limits."""
        return sum(tokens for tokens, _ in self.items)

    def packed(self, rng: random.Random) -> int:
        """The length in tokens after dropout, with one random draw for every item that may be dropped."""
        return sum(tokens for tokens, rate in self.items if not (rate and rng.random() < rate))


@dataclass(frozen=True)
class Group:
    """One dataset of the mixture, its weight, and whether every pack begins with one of its samples."""

    samples: Sequence[Packable]
    weight: float
    mandatory: bool = False
    shuffle: bool = True  # False: repeat the samples in the order given


@dataclass
class PackingOutcome:
    """The result of a simulation. For samples by kind: drawn = trained + too_long + lost + waiting in the buffer."""

    lengths: list[int] = field(default_factory=list)  # of the packs, in tokens
    drawn: Counter[str] = field(default_factory=Counter)
    trained: Counter[str] = field(default_factory=Counter)
    too_long: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)

    def share(self, part: Counter[str]) -> float:
        """The share of a part among the samples that are not waiting at the end, in [0, 1]."""
        known = self.drawn.total() - self.waiting.total()
        return part.total() / known if known else 0.0

    def by_kind(self) -> dict[str, dict[str, int]]:
        """By kind: how many samples were drawn, trained, too long, lost, and waiting at the end."""
        parts = {name: getattr(self, name) for name in ("drawn", "trained", "too_long", "lost", "waiting")}
        return {kind: {name: part[kind] for name, part in parts.items()} for kind in sorted(self.drawn)}


class PackingError(ValueError):
    """A setting with which the packer would search for ever."""


def simulate(groups: Sequence[Group], packing: Packing, packs: int, seed: int = 0) -> PackingOutcome:
    """Draw and pack until `packs` packs are full, with the random draws that BAGEL makes after ``random.seed(seed)``.

    Raises PackingError where no sample, or none of a mandatory group, fits.
    """
    limit = packing.max_num_tokens_per_sample
    for group in groups:
        if group.mandatory and not any(s.length < limit for s in group.samples):
            raise PackingError(f"no sample of a mandatory group is under {limit} tokens; BAGEL would search for ever")
    most = min(limit, packing.max_num_tokens)
    if not any(s.length <= most for g in groups if g.weight for s in g.samples):
        raise PackingError(f"no sample fits into {most} tokens; BAGEL would search for ever")
    rng = random.Random(seed)
    streams = [_endless(group, random.Random(f"{seed}-{i}")) for i, group in enumerate(groups)]
    bounds = [b / sum(g.weight for g in groups) for b in accumulate(g.weight for g in groups)]
    out, buffer, current = PackingOutcome(), list[Packable](), 0
    while len(out.lengths) < packs:
        if current == 0:
            for group, stream in zip(groups, streams, strict=True):
                current += _first_fitting(stream, limit, out, rng) if group.mandatory else 0
        buffered = current < packing.prefer_buffer_before and bool(buffer)
        if buffered:
            sample = buffer.pop(0)
        else:
            draw = rng.random()
            sample = next(streams[next((i for i, b in enumerate(bounds) if draw < b), 0)])
            out.drawn[sample.kind] += 1
        if sample.length > limit:
            out.too_long[sample.kind] += 1
            continue
        if current + sample.length <= packing.max_num_tokens:
            current += sample.packed(rng)
            out.trained[sample.kind] += 1
            closed = current >= packing.expected_num_tokens
        elif len(buffer) < packing.max_buffer_size and not buffered:
            buffer.append(sample)
            closed = False
        else:
            out.lost[sample.kind] += 1
            closed = True
        if closed:
            out.lengths.append(current)
            current = 0
    out.waiting.update(sample.kind for sample in buffer)
    return out


def _first_fitting(stream: Iterator[Packable], limit: int, out: PackingOutcome, rng: random.Random) -> int:
    for sample in stream:
        out.drawn[sample.kind] += 1
        if sample.length < limit:
            out.trained[sample.kind] += 1
            return sample.packed(rng)
        out.too_long[sample.kind] += 1
    return 0


def _endless(group: Group, rng: random.Random) -> Iterator[Packable]:
    order = list(group.samples)
    while order:
        if group.shuffle:
            rng.shuffle(order)
        yield from order
