"""The store keeps each (stage fingerprint, lot) once, and alone decides whether something is done.

A lot's table is ``lots/<stage>-<fingerprint>/lot-00000012.parquet``; its manifest ``lot-00000012.json`` is written
last. A lot is done if and only if its manifest exists. Failed rows are kept under ``quarantine/``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from underpaint.pipeline.common.atomic import atomic_write, link
from underpaint.pipeline.engine.graph import Node
from underpaint.stages.all_stages import STAGES
from underpaint.stages.common.stage import Outcome

PICTURES_A_GROUP = 16  # rows per group, so that one sample's pictures can be read without those of the whole lot


class StoreError(Exception):
    """A file of the store that is not what its manifest says."""


class Store:
    """The store in a run's folder. Many may write at once: equal names get equal bytes, each file by one rename."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def is_done(self, node: Node, lot: int) -> bool:
        """Whether the lot's manifest exists."""
        return self._manifest(node, lot).exists()

    def done(self, node: Node) -> list[int]:
        """The lots of a stage that are done, ascending."""
        folder = self.root / "lots" / node.folder
        return sorted(int(p.stem.removeprefix("lot-")) for p in folder.glob("lot-*.json"))

    def put(
        self, node: Node, lot: int, outcome: Outcome, categories: Mapping[str, int] | None = None
    ) -> dict[str, Any]:
        """Write a lot's table, its quarantine and, last, its manifest. Returns the manifest.

        `categories` says how many of the kept units belong to each category of prompts.
        """
        data = table_bytes(outcome.table)
        failures = [asdict(f) for f in outcome.ledger.failures]
        quarantine = self._quarantine(node, lot)
        if failures:
            atomic_write(quarantine, "".join(json.dumps(f) + "\n" for f in failures).encode())
        else:
            quarantine.unlink(missing_ok=True)  # left from before an `undo`
        atomic_write(self._table(node, lot), data)
        manifest = {
            "stage": node.name,
            "lot": lot,
            "rows": outcome.table.num_rows,
            "sha256": self.digest_of(data),
            "ledger": outcome.ledger.summary(),
            **outcome.ledger.answered(),
            "categories": dict(categories or {}),
            "inputs": self.inputs(node, lot),
            **_identity(node),
        }
        atomic_write(self._manifest(node, lot), json.dumps(manifest, indent=1, sort_keys=True).encode())
        return manifest

    def inputs(self, node: Node, lot: int) -> dict[str, str]:
        """SHA-256 of the tables that a lot is made from, by stage; without those that are not done."""
        above = {name: replace(node, stage=STAGES[name], fingerprint=f) for name, f in node.upstream.items()}
        return {name: self.manifest(one, lot)["sha256"] for name, one in above.items() if self.is_done(one, lot)}

    def adopt(self, node: Node, former: Node, lot: int, compared: Sequence[int]) -> None:
        """Take over a lot that another fingerprint of the stage made; its manifest says so, and which were compared."""
        for left in (self._quarantine(node, lot), self._table(node, lot)):
            left.unlink(missing_ok=True)  # of a build that broke off, or from before an `undo`
        names = (self._quarantine, self._table, self.journal)
        for old, new in [(name(former, lot), name(node, lot)) for name in names]:
            if old.exists() and not new.exists():
                new.parent.mkdir(parents=True, exist_ok=True)
                link(old, new)
        adopted = {"from": former.fingerprint, "compared": list(compared)}
        manifest = {**self.manifest(former, lot), **_identity(node), "adopted": adopted}
        atomic_write(self._manifest(node, lot), json.dumps(manifest, indent=1, sort_keys=True).encode())

    @staticmethod
    def digest_of(data: bytes) -> str:
        """SHA-256 of a table's file, as manifests have it."""
        return hashlib.sha256(data).hexdigest()

    def undo(self, node: Node, lot: int) -> None:
        """Mark the lot as not done. Its table stays until it is made again."""
        self._manifest(node, lot).unlink(missing_ok=True)

    def table_file(self, node: Node, lot: int) -> Path:
        """The path of a lot's table, to show to people; to read it, use `table`."""
        return self._table(node, lot)

    def manifest(self, node: Node, lot: int) -> dict[str, Any]:
        """The manifest of a lot. Raises FileNotFoundError where the lot is not done."""
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
        """Raises StoreError where a table's bytes are not those whose digest is in its manifest."""
        with self._table(node, lot).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self.manifest(node, lot)["sha256"]:
            raise StoreError(f"{self._table(node, lot)} has changed since it was written; delete its .json to redo it")

    def failures(self, node: Node, lot: int) -> list[dict[str, Any]]:
        """The quarantined rows of a lot, with request, response and traceback."""
        file = self._quarantine(node, lot)
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def newest(self, node: Node) -> Node | None:
        """The node itself if any of its lots is done, else the stage as it was last made; None if it never was."""
        if self.done(node):
            return node
        return next(self.others(node), None)

    def others(self, node: Node) -> Iterator[Node]:
        """The stage under every other fingerprint that this store has lots of, newest first."""
        folders = [p for p in (self.root / "lots").glob(f"{node.name}-*") if p.name != node.folder]
        for folder in sorted(folders, key=lambda p: p.stat().st_mtime, reverse=True):
            manifest = next(iter(sorted(folder.glob("lot-*.json"))), None)
            if manifest and folder.name.removeprefix(node.name + "-").isalnum():
                m = json.loads(manifest.read_text())
                yield Node(node.stage, m["fingerprint"], m["parts"], m["upstream"], m.get("modules", {}))

    def journal(self, node: Node, lot: int) -> Path:
        """The file that keeps the answers of remote models for the lot (pipeline/engine/remote_answers.py)."""
        return self.root / "lots" / node.folder / f"lot-{lot:08d}.answers.jsonl"

    def _table(self, node: Node, lot: int) -> Path:
        return self.root / "lots" / node.folder / f"lot-{lot:08d}.parquet"

    def _manifest(self, node: Node, lot: int) -> Path:
        return self.root / "lots" / node.folder / f"lot-{lot:08d}.json"

    def _quarantine(self, node: Node, lot: int) -> Path:
        return self.root / "quarantine" / node.folder / f"lot-{lot:08d}.jsonl"


def _identity(node: Node) -> dict[str, Any]:
    modules = {part: dict(found) for part, found in node.modules.items()}
    known = {"parts": dict(node.parts), "upstream": dict(node.upstream), "modules": modules}
    return {"fingerprint": node.fingerprint, **known}


def table_bytes(table: pa.Table) -> bytes:
    """A table as the Parquet file that the store keeps."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=_rows_a_group(table))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _rows_a_group(table: pa.Table) -> int:
    """Rows per group: few with pictures; tables without pictures are small and read fastest as one group."""
    pictures = any(pa.types.is_binary(field.type) for field in table.schema)
    return PICTURES_A_GROUP if pictures else max(1, table.num_rows)


def _may_hold(group: pq.RowGroupMetaData, samples: Sequence[int]) -> bool:
    """Whether a row group may hold one of these samples, by the statistics of its first column, always `sample`."""
    known = group.column(0).statistics
    return known is None or not known.has_min_max or any(known.min <= s <= known.max for s in samples)
