"""Retries failed rows: marks their lots, and the lots made from them, as not done; the next build makes them again.

The answers of a remote model are in the lot's journal, so only failed rows are asked again. A model that runs here
makes the whole lot again. Only failed rows, and what follows from them, can then change: a prompt that succeeds now
takes its share of the lot's picture counts and detours, so plans of later prompts of the lot may change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.engine.graph import Node, descendants
from underpaint.pipeline.engine.remote_answers import Journal
from underpaint.pipeline.engine.run_folder import Run
from underpaint.stages.common.suggest import did_you_mean


@dataclass(frozen=True)
class FailedLot:
    """A lot with quarantined rows of the kind asked for."""

    node: Node
    lot: int
    failures: Sequence[Mapping[str, Any]]


def failed_lots(run: Run, stage: str = "", error: str = "") -> list[FailedLot]:
    """Lots with failed rows, of one stage (or of all, if "") and with one class of error (or any, if "").

    Raises UserError for an unknown stage, or an error with which no row failed.
    """
    if stage and stage not in run.nodes:
        raise UserError(f"--stage {stage}: there is no such stage; {did_you_mean(stage, run.nodes)}")
    found, errors = [], set()
    for node in [run.nodes[stage]] if stage else run.nodes.values():
        for lot in run.store.done(node):
            if not run.store.manifest(node, lot)["ledger"]["failed"]:
                continue
            failures = run.store.failures(node, lot)
            errors |= {f["error"] for f in failures}
            if mine := [f for f in failures if error in ("", f["error"])]:
                found.append(FailedLot(node, lot, mine))
    if error and not found and errors:
        raise UserError(f"--error {error}: no row failed with it; {did_you_mean(error, sorted(errors))}")
    return found


def undo(run: Run, lots: Sequence[FailedLot]) -> None:
    """Mark these lots, and the lots made from them, as not done; downstream stages first, in case it is interrupted."""
    for failed in lots:
        at_fault = {digest for failure in failed.failures for digest in failure["requests"]}
        Journal(run.store.journal(failed.node, failed.lot)).forget(at_fault)
        for name in reversed([failed.node.name, *descendants(run.nodes, failed.node.name)]):
            run.store.undo(run.nodes[name], failed.lot)
