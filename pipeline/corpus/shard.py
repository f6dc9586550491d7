"""Deals samples to shards and writes one shard: a tar whose bytes depend only on its samples.

docs/format.md gives layout and reasons. Shards are written independently of each other; pipeline/corpus/corpus_files.py
writes the files around them.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from underpaint.pipeline.common.atomic import whole_file
from underpaint.pipeline.corpus.columns import arrow_fields
from underpaint.pipeline.corpus.index import ShardEntry
from underpaint.schemas.corpus.sample import Sample, SampleError
from underpaint.schemas.corpus.subsets import SUBSETS
from underpaint.schemas.corpus.webdataset import decode, encode

HEAD = 5  # how many samples readers look at that guess the columns
MANIFEST_SUFFIX = ".manifest.parquet"
MANIFEST_SCHEMA = pa.schema(
    [
        pa.field("shard", pa.string(), nullable=False),  # path in the corpus
        pa.field("position", pa.int64(), nullable=False),  # in the shard, from 0
        *(f for f in arrow_fields(Sample) if f.name != "extra"),
    ]
)


class ShardError(ValueError):
    """Samples that cannot be written as asked; the message names the shard and what to do."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A sample without its pictures. `payload` is for the loader, e.g. where the pictures are in the store."""

    id: str
    subset: str
    split: str
    n_images: int
    payload: Any = None


# A loader: gives the samples of these refs with their pictures, in the same order; may be lazy.
Load = Callable[[Sequence[Ref]], Iterable[tuple[Sample, Sequence[bytes]]]]


@dataclass(frozen=True)
class ShardPlan:
    """One shard to write: its path in the corpus and its samples in order."""

    path: str
    refs: tuple[Ref, ...]


class ShardResult(ShardEntry):
    """One shard as written. `cells` counts samples by (polarity, category)."""

    md5: str
    suffix: str  # of its pictures; "" if it has none
    cells: tuple[tuple[str, str, int], ...]


def shard_path(subset: str, split: str, number: int) -> str:
    """ "multi_turn/mtg-train-000000.tar"."""
    return f"{subset}/{SUBSETS[subset].abbreviation}-{split}-{number:06d}.tar"


def plan_shards(refs: Iterable[Ref], shards: Mapping[tuple[str, str], int]) -> list[ShardPlan]:
    """Deal the samples, in the order given, to `shards[subset, split]` shards each (fewer if there are fewer samples).

    Raises ShardError on an id that occurs twice and on a subset and split without a number of shards.
    """
    groups: dict[tuple[str, str], list[Ref]] = {}
    ids: set[str] = set()
    for ref in refs:
        if ref.id in ids:
            raise ShardError(f"{ref.id}: two samples have this id; ids are unique in the whole corpus")
        ids.add(ref.id)
        groups.setdefault((ref.subset, ref.split), []).append(ref)
    plans = []
    for (subset, split), group in sorted(groups.items()):
        count = shards.get((subset, split), 0)
        if count < 1:
            raise ShardError(f"{subset}, {split}: {len(group)} samples, but no number of shards; give 1 or more")
        dealt = deal(group, count)
        plans += [ShardPlan(shard_path(subset, split, i), tuple(part)) for i, part in enumerate(dealt)]
    return plans


def deal(refs: Sequence[Ref], count: int) -> list[list[Ref]]:
    """Deal samples round robin to at most `count` shards, none of them empty.

    Exception: the first five samples of shard 0 are those with the most pictures (the earliest among equals), since
    readers that guess the columns look only at these.
    """
    count = min(count, len(refs))
    if not count:
        return []
    head = min(HEAD, -(-len(refs) // count))
    first = set(sorted(range(len(refs)), key=lambda i: -refs[i].n_images)[:head])
    leaders = iter([refs[i] for i in sorted(first)])
    rest = (ref for i, ref in enumerate(refs) if i not in first)
    order = [next(leaders) if i % count == 0 and i // count < head else next(rest) for i in range(len(refs))]
    return [order[i::count] for i in range(count)]


def write_shard(root: Path, plan: ShardPlan, load: Load) -> ShardResult:
    """Write `root`/`plan.path`, and its part of the manifest beside it, independently of all other shards.

    The shard appears whole or not at all. Raises SampleError where a sample breaks the format or differs from its ref,
    ShardError where the loader gives too few or too many.
    """
    target = root / plan.path
    if not plan.refs:
        raise ShardError(f"{plan.path}: no samples; empty shards stop training runs")
    rows: list[dict[str, Any]] = []
    suffixes: set[str] = set()
    cells: Counter[tuple[str, str]] = Counter()
    with whole_file(target) as raw:
        sink = _Digesting(raw)
        with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as tar:  # type: ignore[call-overload]
            for sample, pictures in _loaded(plan, load):
                for name, data in encode(sample, pictures):
                    tar.addfile(_member(name, len(data)), io.BytesIO(data))
                fields = sample.to_dict()
                del fields["extra"]
                rows.append({"shard": plan.path, "position": len(rows), **fields})
                suffixes.update(p.name.rpartition(".")[2] for p in sample.images)
                cells[sample.polarity, sample.category] += 1
        if len(suffixes) > 1:
            raise ShardError(f"{plan.path}: pictures are {' and '.join(sorted(suffixes))}; use one encoding")
        table = pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)
        pq.write_table(table, manifest_part(target), compression="zstd")
    return ShardResult(
        path=plan.path,
        subset=plan.refs[0].subset,
        split=plan.refs[0].split,
        samples=len(rows),
        pictures=sum(r["n_images"] for r in rows),
        bytes=target.stat().st_size,
        sha256=sink.sha256.hexdigest(),
        md5=sink.md5.hexdigest(),
        suffix=next(iter(suffixes), ""),
        cells=tuple((*cell, n) for cell, n in sorted(cells.items())),
    )


def read_shard(path: Path) -> Iterator[tuple[Sample, list[bytes]]]:
    """The samples of a shard with their pictures, one at a time, each checked. Raises SampleError."""
    for _, members in read_members(path):
        yield decode({name: member.read() for name, member in members.items()})


class Member(NamedTuple):
    """A file of a shard: where its bytes begin, and how to get them while the shard is being read."""

    offset: int
    read: Callable[[], bytes]


def read_members(path: Path) -> Iterator[tuple[str, dict[str, Member]]]:
    """Every sample's key and its members by their full names; only what is asked for is read."""
    with tarfile.open(path, "r:") as tar:
        for key, found in groupby(tar, lambda info: info.name.partition(".")[0]):
            yield key, {i.name: Member(i.offset_data, partial(member_bytes, tar, i)) for i in found}


def member_bytes(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    """The content of a member of a tar that is open."""
    file = tar.extractfile(info)
    assert file is not None, info.name
    return file.read()


def wids_entry(path: str, md5: str, samples: int, size: int) -> dict[str, Any]:
    """A shard in the index for wids, with a url relative to that index; `size` is in bytes."""
    return {"url": PurePosixPath(path).name, "md5sum": md5, "nsamples": samples, "filesize": size}


def manifest_part(shard: Path) -> Path:
    """The path of a shard's part of the manifest."""
    return shard.with_name(PurePosixPath(shard.name).stem + MANIFEST_SUFFIX)


def _loaded(plan: ShardPlan, load: Load) -> Iterator[tuple[Sample, Sequence[bytes]]]:
    """The loader's samples, each checked against its ref."""
    given = iter(load(plan.refs))
    for ref in plan.refs:
        sample, pictures = next(given, (None, ()))
        if sample is None:
            raise ShardError(f"{plan.path}: the loader gave no sample {ref.id}")
        for field in ("id", "subset", "split", "n_images"):
            if (asked := getattr(ref, field)) != getattr(sample, field):
                raise SampleError(ref.id, field, f"is {getattr(sample, field)!r}, but {asked!r} was planned")
        yield sample, pictures
    if next(given, None) is not None:
        raise ShardError(f"{plan.path}: the loader gave more than the {len(plan.refs)} samples planned")


def _member(name: str, size: int) -> tarfile.TarInfo:
    """A tar header without time, owner or machine, so that equal samples give equal bytes."""
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info


class _Digesting:
    """A file for writing that computes the digests of what was written."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self.sha256 = hashlib.sha256()
        self.md5 = hashlib.md5(usedforsecurity=False)  # wids has a field for this digest only

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.md5.update(data)
        return self._raw.write(data)

    def tell(self) -> int:
        return self._raw.tell()
