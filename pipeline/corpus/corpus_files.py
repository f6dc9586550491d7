"""Writes the files around the shards (index, manifest, digests, wids files, card) and publishes them by one rename.

Call `begin_corpus`, then `write_shard` for every plan in any process, then `finish_corpus` with the results.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.parquet as pq

from underpaint.pipeline.common.atomic import atomic_write, publish, staging_folder, whole_file
from underpaint.pipeline.corpus.card import CorpusInfo, card_text
from underpaint.pipeline.corpus.card_facts import manifest_facts
from underpaint.pipeline.corpus.index import (
    CARD,
    INDEX_VERSION,
    SUMS,
    Index,
    ShardEntry,
    cell_counts,
    file_sha256,
    totals_of,
)
from underpaint.pipeline.corpus.shard import MANIFEST_SCHEMA, ShardError, ShardResult, manifest_part, wids_entry
from underpaint.schemas.corpus.croissant import CROISSANT, MANIFEST, ListedFile, croissant
from underpaint.schemas.corpus.fields import json_schema
from underpaint.schemas.corpus.sample import SCHEMA
from underpaint.schemas.corpus.write_schema import json_text


def begin_corpus(out: Path) -> Path:
    """Make an empty staging folder beside `out`, and delete what an interrupted run left there.

    Raises ShardError where `out` exists.
    """
    if out.exists():
        raise ShardError(f"{out}: exists already; choose another name or delete it")
    return staging_folder(out)


def finish_corpus(staging: Path, out: Path, results: Sequence[ShardResult], info: CorpusInfo) -> Index:
    """Write the files around the shards and publish the folder as `out`.

    Raises ShardError where there is no shard, or where their pictures have different encodings.
    """
    if not results:
        raise ShardError(f"{out}: no shards; the selection is empty")
    results = sorted(results, key=lambda r: r.path)
    suffixes = {r.suffix for r in results if r.suffix}
    if len(suffixes) > 1:
        raise ShardError(f"{out}: pictures are {' and '.join(sorted(suffixes))}; use one encoding for all shards")
    index = _index(results, info)
    _write_manifest(staging, results)
    _write(staging / "index.json", index.model_dump_json(indent=1) + "\n")
    _write(staging / "SCHEMA.json", json_text(json_schema()))
    _write(staging / CROISSANT, json.dumps(_croissant(staging, results, info), indent=1, ensure_ascii=False) + "\n")
    listed = [*_write_wids(staging, results), "SCHEMA.json", "index.json", MANIFEST, CROISSANT]
    sums = {name: file_sha256(staging / name) for name in listed} | {r.path: r.sha256 for r in results}
    _write(staging / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))
    suffix = suffixes.pop() if suffixes else "webp"
    _write(staging / CARD, card_text(index, manifest_facts(staging / MANIFEST), suffix, info))
    for broken_off in staging.rglob(".*.part"):  # of workers that were killed
        broken_off.unlink()
    publish(staging, out)
    return index


def _index(results: Sequence[ShardResult], info: CorpusInfo) -> Index:
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for r in results:
        for polarity, category, samples in r.cells:
            counts[r.subset, r.split, polarity, category] += samples
    cells = cell_counts(counts)
    return Index(
        version=INDEX_VERSION,
        sample_schema=SCHEMA,
        name=info.name,
        recipe_sha256=info.recipe_sha256,
        pipeline_commit=info.pipeline_commit,
        samples=sum(r.samples for r in results),
        pictures=sum(r.pictures for r in results),
        totals=totals_of(cells),
        cells=cells,
        shards=[ShardEntry(**r.model_dump(include={*ShardEntry.model_fields})) for r in results],
    )


def _write_manifest(staging: Path, results: Sequence[ShardResult]) -> None:
    """Join the shards' parts of the manifest, one row group per shard, and delete the parts."""
    with whole_file(staging / MANIFEST) as f, pq.ParquetWriter(f, MANIFEST_SCHEMA, compression="zstd") as writer:
        for r in results:
            writer.write_table(pq.read_table(manifest_part(staging / r.path), schema=MANIFEST_SCHEMA))
    for r in results:
        manifest_part(staging / r.path).unlink()


def _croissant(staging: Path, results: Sequence[ShardResult], info: CorpusInfo) -> dict[str, Any]:
    shards = [ListedFile(r.path, r.bytes, r.sha256) for r in results]
    description, manifest = info.summary or info.title or info.name, file_sha256(staging / MANIFEST)
    return croissant(info.name, description, info.license, shards, manifest)


def _write_wids(staging: Path, results: Sequence[ShardResult]) -> list[str]:
    """Write an index for wids per subset and split, with relative urls. Returns their paths in the corpus."""
    written = []
    for subset, split in sorted({(r.subset, r.split) for r in results}):
        mine = [r for r in results if (r.subset, r.split) == (subset, split)]
        name = mine[0].path.removesuffix("-000000.tar")
        wids: dict[str, Any] = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": PurePosixPath(name).name}
        wids["shardlist"] = [wids_entry(r.path, r.md5, r.samples, r.bytes) for r in mine]
        _write(staging / f"{name}.wids.json", json.dumps(wids, indent=1) + "\n")
        written.append(f"{name}.wids.json")
    return written


def _write(path: Path, text: str) -> None:
    atomic_write(path, text.encode("utf-8"))
