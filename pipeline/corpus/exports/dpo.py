"""Exports pairs of pictures for preference training: Parquet with the columns of `schemas.corpus.preference.Pair`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.corpus.exports.folder import fresh_folder, write_rows
from underpaint.pipeline.corpus.index import corpus_index
from underpaint.pipeline.corpus.shard import read_shard
from underpaint.schemas.corpus.preference import Pair, preference_pair
from underpaint.schemas.corpus.subsets import SAMPLE_KINDS, kinds_of

ROW_GROUP = 64  # pairs; with pictures of 1024 px some 100 MB, which the hub's viewer still shows
_PICTURE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])  # as `datasets` stores an Image
_PICTURES = ("chosen", "rejected")


def schema() -> pa.Schema:
    """The columns, with the metadata that tells `datasets` that two of them are pictures, which must be nullable."""
    names = [f.name for f in fields(Pair)]
    features = {n: {"_type": "Image"} if n in _PICTURES else {"dtype": "string", "_type": "Value"} for n in names}
    columns = [pa.field(n, _PICTURE if n in _PICTURES else pa.string()) for n in names]
    return pa.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def export(corpus: Path, out: Path) -> dict[str, int]:
    """Write `out`/<split>/<shard>.parquet, a row a sample with a repaint. Gives counts.

    Raises UserError where `corpus` is none or has no such sample, or `out` exists; SampleError where a sample breaks
    the format.
    """
    index = corpus_index(corpus)
    found = {"pairs": 0, "files": 0}
    with fresh_folder(out) as folder:
        for entry in index.shards:
            if any("repaint" in SAMPLE_KINDS[kind].order for kind in kinds_of(entry.subset)):
                target = folder / entry.split / f"{PurePosixPath(entry.path).stem}.parquet"
                count = write_rows(target, schema(), _rows(corpus / entry.path), ROW_GROUP)
                found = {"pairs": found["pairs"] + count, "files": found["files"] + bool(count)}
        if not found["pairs"]:
            raise UserError(f"{corpus} has no sample with a repaint, so there are no pairs to export")
    return found


def _rows(shard: Path) -> Iterator[dict[str, Any]]:
    for sample, pictures in read_shard(shard):
        pair = preference_pair(sample, pictures)
        if pair is not None:
            row = {f.name: getattr(pair, f.name) for f in fields(Pair)}
            yield row | {n: {"bytes": row[n], "path": f"{pair.id}-{n}"} for n in _PICTURES}
