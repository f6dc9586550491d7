"""Reads the candidates of a run and keeps them in memory, so that each round of a build reads only new lots."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from underpaint.pipeline.engine.graph import LAST, Node
from underpaint.pipeline.engine.store import Store
from underpaint.stages.candidates import CandidateRow
from underpaint.stages.common.rows import schema_of


class Candidates:
    """The candidates of a run, in stream order, one branch after the other."""

    def __init__(self, nodes: Mapping[str, Node], store: Store) -> None:
        self._nodes, self._store = nodes, store
        self._read: dict[str, list[pa.Table]] = {branch: [] for branch in LAST}

    def table(self, lots: Mapping[str, int]) -> pa.Table:
        """All candidates of the first `lots[branch]` lots (the columns of `stages.candidates.CandidateRow`, and `lot`).

        Raises pipeline.engine.store.StoreError where a lot is not done.
        """
        for branch, stage in LAST.items():
            mine = self._read[branch]
            for lot in range(len(mine), lots[branch]):
                part = self._store.table(self._nodes[stage], lot)
                mine.append(part.append_column("lot", pa.array([lot] * part.num_rows, pa.int64())))
        parts = [part for branch in LAST for part in self._read[branch][: lots[branch]]]
        return pa.concat_tables(parts) if parts else EMPTY


EMPTY = schema_of(CandidateRow).append(pa.field("lot", pa.int64())).empty_table()
