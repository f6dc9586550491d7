"""Verifies the files beside the shards: card, wids indexes, croissant.json, and the manifest's columns and splits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from huggingface_hub import metadata_load

from underpaint.pipeline.corpus.card import configs, dataset_info
from underpaint.pipeline.corpus.index import CARD, file_sha256
from underpaint.pipeline.corpus.shard import MANIFEST_SCHEMA, wids_entry
from underpaint.pipeline.corpus.verify_shard import CorpusProblem, ShardFindings
from underpaint.schemas.corpus.croissant import CROISSANT, MANIFEST, ListedFile, distribution, record_set


def card_problems(folder: Path, shards: Sequence[ShardFindings]) -> Iterator[CorpusProblem]:
    """Check the parts of README.md that readers depend on: configs and declared features. Its text is free."""
    try:
        front = metadata_load(folder / CARD)
    except (OSError, ValueError, yaml.YAMLError) as e:
        yield CorpusProblem(CARD, "", "", _unreadable(e))
        return
    if not isinstance(front, dict):
        missing = "is missing: the card begins with no front matter; restore the build's"
        yield CorpusProblem(CARD, "", "configs", missing)
        return
    parts = list(dict.fromkeys((s.path.partition("/")[0], s.path.split("-")[1]) for s in shards))
    suffixes = {suffix for s in shards for suffix in s.suffixes} or {"webp"}
    expected = {"configs": configs(parts), "dataset_info": dataset_info(parts, min(suffixes))}
    for name, value in expected.items():
        if front.get(name) != value:
            yield CorpusProblem(CARD, "", name, "is not what the shards hold; readers would guess or drop columns")


def wids_problems(folder: Path, shards: Sequence[ShardFindings]) -> Iterator[CorpusProblem]:
    """Check the wids files: one per subset and split, with relative urls in order and the right sizes and digests."""
    for stem in sorted({s.path.rpartition("-")[0] for s in shards}):
        name = f"{stem}.wids.json"
        mine = [s for s in shards if s.path.rpartition("-")[0] == stem]
        expected = [wids_entry(s.path, s.md5, len(s.keys), s.bytes) for s in mine]
        try:
            stated = json.loads((folder / name).read_text("utf-8"))["shardlist"]
        except (OSError, ValueError, KeyError, TypeError) as e:
            yield CorpusProblem(name, "", "" if isinstance(e, OSError) else "shardlist", _unreadable(e))
            continue
        for i, wanted in enumerate(expected):
            found = stated[i] if isinstance(stated, list) and i < len(stated) else None
            if found != wanted:
                yield CorpusProblem(name, "", f"shardlist.{i}", f"is {found}, the shard is {wanted}")
        if isinstance(stated, list) and len(stated) > len(expected):
            yield CorpusProblem(name, "", "shardlist", f"has {len(stated)} shards, there are {len(expected)}")


def croissant_problems(folder: Path, shards: Sequence[ShardFindings]) -> Iterator[CorpusProblem]:
    """Check croissant.json: the files with their digests, and the fields of a record. The rest is free."""
    try:
        stated = json.loads((folder / CROISSANT).read_text("utf-8"))
        manifest = file_sha256(folder / MANIFEST)
    except (OSError, ValueError) as e:
        if not (isinstance(e, FileNotFoundError) and str(e.filename).endswith(MANIFEST)):  # `manifest_problems` says so
            yield CorpusProblem(CROISSANT, "", "", _unreadable(e))
        return
    listed = [ListedFile(s.path, s.bytes, s.sha256) for s in shards]
    expected: dict[str, Any] = {"distribution": distribution(listed, manifest), "recordSet": record_set()}
    for name, value in expected.items():
        if not isinstance(stated, dict) or stated.get(name) != value:
            differs = "is not what the corpus holds; build it again, or restore the file"
            yield CorpusProblem(CROISSANT, "", name, differs)


def manifest_problems(folder: Path, samples: int) -> Iterator[CorpusProblem]:
    """Check the manifest's columns and number of rows, and that no group is in two splits.

    `check_shard` compares the rows with the samples.
    """
    try:
        file = pq.ParquetFile(folder / MANIFEST)
        if file.schema_arrow != MANIFEST_SCHEMA:
            wrong = ", ".join(f.name for f in MANIFEST_SCHEMA if f.name not in file.schema_arrow.names)
            yield CorpusProblem(MANIFEST, "", "columns", f"differ from the schema's: {wrong or 'in their types'}")
            return
        if (rows := file.metadata.num_rows) != samples:
            yield CorpusProblem(MANIFEST, "", "rows", f"are {rows}, the shards hold {samples} samples")
        split_of: dict[str, str] = {}
        for batch in file.iter_batches(columns=["id", "group", "split"]):
            for row in batch.to_pylist():
                first = split_of.setdefault(row["group"], row["split"])
                if first != row["split"]:
                    message = f"{row['group']!r} is in {first} and in {row['split']}; a group is in one split"
                    yield CorpusProblem(MANIFEST, row["id"], "group", message)
    except (OSError, pa.ArrowException) as e:
        yield CorpusProblem(MANIFEST, "", "", _unreadable(e))


def _unreadable(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing"
    return f"does not read: {type(error).__name__} {error}"
