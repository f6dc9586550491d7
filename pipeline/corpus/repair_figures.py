"""Counts how often flawed drafts are repaired, at which try and by which method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from underpaint.pipeline.engine.graph import Node
from underpaint.pipeline.engine.store import Store


@dataclass(frozen=True)
class Tries:
    """How many drafts got a try of this number (or method), and how many of these tries the judge accepted."""

    name: str
    tried: int
    accepted: int

    @property
    def share(self) -> float:
        """The share of accepted tries, in [0, 1]; 0 where there were none."""
        return self.accepted / max(1, self.tried)


@dataclass(frozen=True)
class Repairs:
    """Repairs of all flawed drafts of some lots, shipped or not."""

    flawed: int  # drafts that got a try at all
    by_try: list[Tries]
    by_method: list[Tries]

    @property
    def repaired(self) -> int:
        """How many drafts were repaired."""
        return sum(t.accepted for t in self.by_try)


def repairs(node: Node, store: Store, lots: int) -> Repairs:
    """The figures of the first `lots` lots, read from the tables of the stage `repair` without their pictures."""
    columns = ["attempt", "method", "accepted"]
    parts = [store.table(node, lot, columns) for lot in range(lots)]
    table = pa.concat_tables(parts) if parts else node.stage.schema.empty_table().select(columns)
    accepted = table["accepted"].to_numpy(zero_copy_only=False).astype(bool)
    attempts = table["attempt"].to_numpy()
    methods = np.asarray(table["method"].to_pylist(), dtype=str)
    by_try = [_tries(str(n), attempts == n, accepted) for n in np.unique(attempts)]
    by_method = [_tries(m, methods == m, accepted) for m in ("sibling", "edit", "repaint") if (methods == m).any()]
    return Repairs(int((attempts == 1).sum()), by_try, by_method)


def _tries(name: str, mine: np.ndarray, accepted: np.ndarray) -> Tries:
    return Tries(name, int(mine.sum()), int((mine & accepted).sum()))
