"""Exports IRG's conversation form as Parquet: a file per shard, a folder (IRG's `data_dir`) per subset and split."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pyarrow as pa

from underpaint.pipeline.corpus.exports.folder import fresh_folder, write_rows
from underpaint.pipeline.corpus.index import corpus_index
from underpaint.pipeline.corpus.shard import read_shard
from underpaint.schemas.corpus.conversation import conversation

ROW_GROUP = 16  # samples; small, since IRG deals row groups to ranks and workers and so needs many
ROW_SCHEMA = pa.schema([pa.field("id", pa.string(), False), pa.field("conversation", pa.large_string(), False)])


def export(corpus: Path, out: Path) -> dict[str, int]:
    """Write `out`/<subset>/<split>/<shard>.parquet with the columns `id` and `conversation` (JSON). Returns counts.

    Raises UserError where `corpus` is none or `out` exists, SampleError where a sample breaks the format.
    """
    index = corpus_index(corpus)
    with fresh_folder(out) as folder:
        for entry in index.shards:
            target = folder / entry.subset / entry.split / f"{PurePosixPath(entry.path).stem}.parquet"
            rows = (
                {"id": sample.id, "conversation": json.dumps(conversation(sample, pictures), ensure_ascii=False)}
                for sample, pictures in read_shard(corpus / entry.path)
            )
            write_rows(target, ROW_SCHEMA, rows, ROW_GROUP)
    return {"samples": index.samples, "files": len(index.shards)}
