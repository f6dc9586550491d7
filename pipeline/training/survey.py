"""How long a corpus' samples are when packed, what a packer's setting would drop of them, and what we would set."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from underpaint.pipeline.training.lengths import CONTROL_TOKENS, Pixels
from underpaint.pipeline.training.packing import DROPOUT, RECOMMENDED, Group, Packable, Packing, PackingError, simulate
from underpaint.pipeline.training.sequence import Item, Kind, Policy, sequences
from underpaint.schemas.corpus.example import trusted
from underpaint.schemas.corpus.subsets import SUBSETS

RESOLUTIONS = ((1024, 980), (1024, 518), (768, 518), (512, 518), (512, 224))  # (VAE, ViT) sides, best first
ENOUGH = 0.99  # of the samples trained on, to recommend a resolution
EXPECTED = (33000, 31000, 29000, 27000, 25000)  # lengths at which a pack is closed, the fullest first
SEED = 0


@dataclass(frozen=True)
class PlannedSequence:
    """One sequence of a sample: every item's kind, dropout rate, and text tokens or stored picture size."""

    subset: str
    kind: str  # "multi_turn", "conflict negative", …
    pictures: int
    items: tuple[tuple[Kind, float, int | tuple[int, int]], ...]

    def packable(self, pixels: Pixels) -> Packable:
        return Packable(self.kind, tuple((_tokens(kind, size, pixels), rate) for kind, rate, size in self.items))


def _tokens(kind: Kind, size: int | tuple[int, int], pixels: Pixels) -> int:
    return CONTROL_TOKENS + size if isinstance(size, int) else pixels.tokens(kind, *size)


def read_sequences(corpus: Path, text_tokens: Callable[[str], int], policy: Policy) -> Iterator[PlannedSequence]:
    """The train samples' sequences, from the manifest: no shard is opened."""
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
) -> tuple[int, tuple[tuple[Kind, float, int | tuple[int, int]], ...]]:
    """How many pictures a sequence shows, and its items as PlannedSequence has them. `sizes`: as stored."""
    shown = {item.content for item in items if item.kind != "text"}
    return len(shown), tuple(
        (i.kind, DROPOUT[i.kind] * i.cfg, text_tokens(i.content) if i.kind == "text" else sizes[i.content])
        for i in items
    )


@dataclass(frozen=True)
class Lengths:
    """The lengths of one kind with so many pictures, in tokens."""

    kind: str
    pictures: int
    samples: int
    least: int
    median: int
    most: int


def lengths(found: Sequence[PlannedSequence], px: int, vit: int) -> list[Lengths]:
    """By kind and number of pictures."""
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
    """What packs of one setting would hold. Shares are of the samples drawn; `error` instead where none would come."""

    name: str
    px: int
    vit: int
    packing: Packing
    packs: int = 0
    trained: float = 0.0
    too_long: float = 0.0
    lost: float = 0.0  # in the packer's buffer
    fill: float = 0.0  # of max_num_tokens
    kinds: dict[str, dict[str, int]] | None = None
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def weights(found: Sequence[PlannedSequence]) -> dict[str, int]:
    """By subset, so that every sequence is seen equally often."""
    return dict(sorted(Counter(s.subset for s in found).items()))


def mixture(found: Sequence[PlannedSequence], px: int, vit: int) -> list[Group]:
    """The subsets as the packer's groups; trajectories, if there are any, are in every pack."""
    pixels, members = Pixels.of(px, vit), defaultdict(list)
    for sequence in found:
        members[sequence.subset].append(sequence.packable(pixels))
    return [Group(m, len(m), mandatory=SUBSETS[subset].whole_trajectory) for subset, m in sorted(members.items())]


def trial(name: str, groups: Sequence[Group], px: int, vit: int, packing: Packing, packs: int) -> Trial:
    """Simulate so many packs."""
    try:
        out = simulate(groups, packing, packs, SEED)
    except PackingError as e:
        return Trial(name, px, vit, packing, error=str(e))
    shares = out.share(out.trained), out.share(out.too_long), out.share(out.lost)
    fill = sum(out.lengths) / len(out.lengths) / packing.max_num_tokens
    return Trial(name, px, vit, packing, packs, *shares, fill, out.by_kind())


def recommend(found: Sequence[PlannedSequence], px: int, vit: int, packs: int) -> Trial:
    """The best resolution, up to `px` and `vit`, at which nearly all is trained on; else what drops least.

    Packs that may close earlier lose less in the packer's buffer, and are filled less.
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
