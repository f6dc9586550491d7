"""index.json: what a corpus holds, and the names of the files beside its shards."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from underpaint.pipeline.common.errors import UserError

CARD = "README.md"
INDEX_VERSION = "underpaint-index/1"
SUMS = "SHA256SUMS"
CELL = ("subset", "split", "polarity", "category")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShardEntry(_Strict):
    """One shard; `path` is relative to the corpus folder."""

    path: str
    subset: str
    split: str
    samples: int
    pictures: int
    bytes: int
    sha256: str


class CellCount(_Strict):
    """How many samples have these four values."""

    subset: str
    split: str
    polarity: str
    category: str
    samples: int


class Index(_Strict):
    """index.json: what the corpus holds. `totals` sums the cells by each of their four names."""

    version: str
    sample_schema: str
    name: str
    recipe_sha256: str
    pipeline_commit: str
    samples: int
    pictures: int
    totals: dict[str, dict[str, int]]
    cells: list[CellCount]
    shards: list[ShardEntry]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hex digits."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def cell_counts(counts: Mapping[tuple[str, str, str, str], int]) -> list[CellCount]:
    """Cells from numbers of samples by (subset, split, polarity, category), sorted by these."""
    return [CellCount(**dict(zip(CELL, names, strict=True)), samples=n) for names, n in sorted(counts.items())]


def totals_of(cells: Iterable[CellCount]) -> dict[str, dict[str, int]]:
    """The number of samples by subset, by split, by polarity and by category."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in CELL}
    for cell in cells:
        for name, counter in counts.items():
            counter[getattr(cell, name)] += cell.samples
    return {name: dict(sorted(counter.items())) for name, counter in counts.items()}


def corpus_index(corpus: Path) -> Index:
    """The index of a corpus. Raises UserError where index.json is missing or does not parse."""
    file = corpus / "index.json"
    if not file.is_file():
        raise UserError(f"{corpus} holds no corpus (no index.json); give the folder that `underpaint build` named")
    try:
        return Index.model_validate_json(file.read_bytes())
    except ValueError as e:
        raise UserError(f"{file}: does not read; `underpaint verify {corpus}` says why ({type(e).__name__})") from None
