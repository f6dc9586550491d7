"""Surveys a corpus for packing: the lengths of its samples, what a setting would drop, and the setting we recommend."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.dataset as ds

from underpaint.pipeline.training.lengths import CONTROL_TOKENS, Pixels
from underpaint.pipeline.training.packing import DROPOUT, RECOMMENDED, Group, Packable, Packing, PackingError, simulate
from underpaint.pipeline.training.sequence import Item, ItemKind, Policy, sequences
from underpaint.schemas.corpus.example import trusted
from underpaint.schemas.corpus.subsets import SUBSETS

RESOLUTIONS = ((1024, 980), (1024, 518), (768, 518), (512, 518), (512, 224))  # (VAE, ViT) sides, best first
ENOUGH = 0.99  # a resolution is recommended if this share of samples is trained on
EXPECTED = (33000, 31000, 29000, 27000, 25000)  # values of expected_num_tokens to try
SEED = 0


@dataclass(frozen=True)
class PlannedSequence:
    """One sequence of a sample: every item's kind, dropout rate, and number of text tokens or stored picture size."""

    subset: str
    kind: str  # "multi_turn", "conflict negative", …
    pictures: int
    items: tuple[tuple[ItemKind, float, int | tuple[int, int]], ...]

    def packable(self, pixels: Pixels) -> Packable:
        """The sequence as the packer sees it at these sizes of pictures."""
        return Packable(self.kind, tuple((_tokens(kind, size, pixels), rate) for kind, rate, size in self.items))


def _tokens(kind: ItemKind, size: int | tuple[int, int], pixels: Pixels) -> int:
    return CONTROL_TOKENS + size if isinstance(size, int) else pixels.tokens(kind, *size)


def read_sequences(corpus: Path, text_tokens: Callable[[str], int], policy: Policy) -> Iterator[PlannedSequence]:
    """The sequences of the train samples, read from the manifest; no shard is opened."""
    table = ds.dataset(corpus / "manifest.parquet")
    for batch in table.to_batches(filter=ds.field("split") == "train"):
        for row in batch.to_pylist():
            sample = trusted(row)
            sizes = {p.name: (p.width, p.height) for p in sample.images}
            kind = sample.subset if sample.polarity == "none" else f"{sample.subset} {sample.polarity}"
            for items in sequences(sample, policy):
                yield PlannedSequence(sample.subset, kind, *measured(items, sizes, text_tokens))


def measured(
    items: Sequence[Item], sizes: Mapping[str, tuple[int, int]], text_tokens: Callable[[str], int]
) -> tuple[int, tuple[tuple[ItemKind, float, int | tuple[int, int]], ...]]:
    """(number of pictures, items as in PlannedSequence) of a sequence. `sizes`: (width, height) of stored pictures."""
    shown = {item.content for item in items if item.kind != "text"}
    return len(shown), tuple(
        (i.kind, DROPOUT[i.kind] * i.cfg, text_tokens(i.content) if i.kind == "text" else sizes[i.content])
        for i in items
    )


@dataclass(frozen=True)
class Lengths:
    """The lengths, in tokens, of the samples of one kind with an equal number of pictures."""

    kind: str
    pictures: int
    samples: int
    least: int
    median: int
    most: int


def lengths(found: Sequence[PlannedSequence], px: int, vit: int) -> list[Lengths]:
    """The lengths by kind and number of pictures."""
    cells: dict[tuple[str, int], list[int]] = defaultdict(list)
    pixels = Pixels.of(px, vit)
    for sequence in found:
        cells[sequence.kind, sequence.pictures].append(sequence.packable(pixels).length)
    return [
        Lengths(kind, pictures, len(n), min(n), int(statistics.median(n)), max(n))
        for (kind, pictures), n in sorted(cells.items())
    ]


@dataclass(frozen=True)
class Trial:
    """What packs of one setting would hold, as shares of the samples; `error` says why there would be no packs."""

    name: str
    px: int
    vit: int
    packing: Packing
    packs: int = 0
    trained: float = 0.0
    too_long: float = 0.0
    lost: float = 0.0  # lost from the packer's buffer
    fill: float = 0.0  # mean length of a pack, as a share of max_num_tokens
    kinds: dict[str, dict[str, int]] | None = None
    error: str = ""


def weights(found: Sequence[PlannedSequence]) -> dict[str, int]:
    """Weights by subset with which every sequence is drawn equally often."""
    return dict(sorted(Counter(s.subset for s in found).items()))


def mixture(found: Sequence[PlannedSequence], px: int, vit: int) -> list[Group]:
    """The subsets as groups of the packer. Every pack begins with a trajectory, if there are any."""
    pixels, members = Pixels.of(px, vit), defaultdict(list)
    for sequence in found:
        members[sequence.subset].append(sequence.packable(pixels))
    return [Group(m, len(m), mandatory=SUBSETS[subset].whole_trajectory) for subset, m in sorted(members.items())]


def trial(name: str, groups: Sequence[Group], px: int, vit: int, packing: Packing, packs: int) -> Trial:
    """Simulate `packs` packs with one setting."""
    try:
        out = simulate(groups, packing, packs, SEED)
    except PackingError as e:
        return Trial(name, px, vit, packing, error=str(e))
    shares = out.share(out.trained), out.share(out.too_long), out.share(out.lost)
    fill = sum(out.lengths) / len(out.lengths) / packing.max_num_tokens
    return Trial(name, px, vit, packing, packs, *shares, fill, out.by_kind())


def recommend(found: Sequence[PlannedSequence], px: int, vit: int, packs: int) -> Trial:
    """The best resolution, up to `px` and `vit`, at which nearly all samples are trained on; else what drops least.

    A smaller expected_num_tokens closes packs earlier, which loses fewer samples but fills packs less.
    """
    tried = []
    for side, vit_side in dict.fromkeys([(px, vit), *RESOLUTIONS]):
        if side > px or vit_side > vit:
            continue
        groups = mixture(found, side, vit_side)
        for expected in EXPECTED:
            packing = replace(RECOMMENDED, expected_num_tokens=expected)
            tried.append(trial("recommended", groups, side, vit_side, packing, packs))
            if tried[-1].trained >= ENOUGH:
                return tried[-1]
    return max(tried, key=lambda t: t.trained)
