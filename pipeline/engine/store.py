"""The store: each (stage fingerprint, lot) once. The only place that decides whether something is done.

``lots/<stage>-<fingerprint>/lot-00000012.parquet`` and, written last, its manifest ``lot-00000012.json``. A
manifest that exists means done; nothing else does. Failed rows lie beside, under ``quarantine/``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from underpaint.pipeline.atomic import atomic_write
from underpaint.pipeline.engine.graph import Node
from underpaint.stages.common.stage import Outcome

PICTURES_A_GROUP = 16  # so that a sample's pictures can be read without its lot's


class StoreError(Exception):
    """A file of the store that is not what its manifest says."""


class Store:
    """A run's folder. Safe for many writers: equal bytes under equal names, each put there by one rename."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def is_done(self, node: Node, lot: int) -> bool:
        return self._manifest(node, lot).exists()

    def done(self, node: Node) -> list[int]:
        """The lots of a stage that are done, ascending."""
        folder = self.root / "lots" / node.folder
        return sorted(int(p.stem.removeprefix("lot-")) for p in folder.glob("lot-*.json"))

    def put(
        self, node: Node, lot: int, outcome: Outcome, categories: Mapping[str, int] | None = None
    ) -> dict[str, Any]:
        """Write a lot's table, its quarantine and, last, its manifest; gives the manifest.

        `categories` says how many of the units kept belong to which category of prompts.
        """
        sink = pa.BufferOutputStream()
        pq.write_table(outcome.table, sink, compression="zstd", row_group_size=_rows_a_group(outcome.table))
        data = sink.getvalue().to_pybytes()
        failures = [asdict(f) for f in outcome.ledger.failures]
        quarantine = self._quarantine(node, lot)
        if failures:
            atomic_write(quarantine, "".join(json.dumps(f) + "\n" for f in failures).encode())
        else:
            quarantine.unlink(missing_ok=True)  # of the time before `undo`
        atomic_write(self._table(node, lot), data)
        manifest = {
            "stage": node.name,
            "fingerprint": node.fingerprint,
            "lot": lot,
            "rows": outcome.table.num_rows,
            "sha256": hashlib.sha256(data).hexdigest(),
            "ledger": outcome.ledger.summary(),
            "categories": dict(categories or {}),
            "parts": dict(node.parts),
            "upstream": dict(node.upstream),
        }
        atomic_write(self._manifest(node, lot), json.dumps(manifest, indent=1, sort_keys=True).encode())
        return manifest

    def undo(self, node: Node, lot: int) -> None:
        """From now on the lot is not done; its table stays until it is made again."""
        self._manifest(node, lot).unlink(missing_ok=True)

    def table_file(self, node: Node, lot: int) -> Path:
        """Where a lot's table lies, for people; read it with `table`."""
        return self._table(node, lot)

    def manifest(self, node: Node, lot: int) -> dict[str, Any]:
        """Raises FileNotFoundError where the lot is not done."""
        found: dict[str, Any] = json.loads(self._manifest(node, lot).read_text())
        return found

    def table(
        self, node: Node, lot: int, columns: Sequence[str] | None = None, samples: Sequence[int] | None = None
    ) -> pa.Table:
        """A lot's table, or only some columns and samples of it. Raises StoreError where it is not done."""
        if not self.is_done(node, lot):
            raise StoreError(f"{node.name}: lot {lot} is not done")
        with pq.ParquetFile(self._table(node, lot)) as file:
            if samples is None:
                return file.read(columns, use_threads=False)
            groups = [i for i in range(file.num_row_groups) if _may_hold(file.metadata.row_group(i), samples)]
            found = file.read_row_groups(groups, columns, use_threads=False)
        return found.filter(pc.is_in(found["sample"], pa.array(samples, pa.int64())))

    def check(self, node: Node, lot: int) -> None:
        """Raises StoreError where a table's bytes are not those its manifest was written for."""
        with self._table(node, lot).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self.manifest(node, lot)["sha256"]:
            raise StoreError(f"{self._table(node, lot)} has changed since it was written; delete its .json to redo it")

    def failures(self, node: Node, lot: int) -> list[dict[str, Any]]:
        """The quarantined rows of a lot, with request, response and traceback."""
        file = self._quarantine(node, lot)
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def newest(self, node: Node) -> Node | None:
        """The node itself where any of its lots is done, else as it was last made; None where it never was."""
        if self.done(node):
            return node
        return next((Node(node.stage, m["fingerprint"], m["parts"], m["upstream"]) for m in self._others(node)), None)

    def other_fingerprints(self, node: Node) -> Iterator[Mapping[str, str]]:
        """The parts of every other fingerprint of the same stage in this store, newest first."""
        return (manifest["parts"] for manifest in self._others(node))

    def _others(self, node: Node) -> Iterator[dict[str, Any]]:
        """A manifest of every other fingerprint."""
        folders = [p for p in (self.root / "lots").glob(f"{node.name}-*") if p.name != node.folder]
        for folder in sorted(folders, key=lambda p: p.stat().st_mtime, reverse=True):
            manifest = next(iter(sorted(folder.glob("lot-*.json"))), None)
            if manifest and folder.name.removeprefix(node.name + "-").isalnum():
                yield json.loads(manifest.read_text())

    def journal(self, node: Node, lot: int) -> Path:
        """Where the answers of remote models are kept while the lot is under way (pipeline/engine/journal.py)."""
        return self.root / "lots" / node.folder / f"lot-{lot:08d}.answers.jsonl"

    def _table(self, node: Node, lot: int) -> Path:
        return self.root / "lots" / node.folder / f"lot-{lot:08d}.parquet"

    def _manifest(self, node: Node, lot: int) -> Path:
        return self.root / "lots" / node.folder / f"lot-{lot:08d}.json"

    def _quarantine(self, node: Node, lot: int) -> Path:
        return self.root / "quarantine" / node.folder / f"lot-{lot:08d}.jsonl"


def _rows_a_group(table: pa.Table) -> int:
    """Tables without pictures are small: one group is read fastest."""
    pictures = any(pa.types.is_binary(field.type) for field in table.schema)
    return PICTURES_A_GROUP if pictures else max(1, table.num_rows)


def _may_hold(group: pq.RowGroupMetaData, samples: Sequence[int]) -> bool:
    """By the statistics of the first column, which is `sample` in every table."""
    known = group.column(0).statistics
    return known is None or not known.has_min_max or any(known.min <= s <= known.max for s in samples)
