"""What all exports need: reading a corpus' index, making a folder that appears whole, writing Parquet in groups."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from underpaint.pipeline.common.atomic import publish, staging_folder
from underpaint.pipeline.common.errors import UserError


@contextmanager
def fresh_folder(out: Path) -> Iterator[Path]:
    """A folder that becomes `out` if the block succeeds, and is deleted otherwise.

    Raises UserError where `out` exists.
    """
    if out.exists():
        raise UserError(f"{out} exists already; give another --out or delete it")
    staging = staging_folder(out)
    try:
        yield staging
        publish(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_rows(path: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]], group: int) -> int:
    """Write a Parquet file in row groups of `group` rows, one group in memory at a time; no file if there are no rows.

    Returns the number of rows. The file is not compressed, since its pictures already are.
    """
    count, writer = 0, None
    source = iter(rows)
    while batch := list(islice(source, group)):
        if writer is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = pq.ParquetWriter(path, schema, compression="none")
        writer.write_table(pa.Table.from_pylist(batch, schema=schema))
        count += len(batch)
    if writer is not None:
        writer.close()
    return count
