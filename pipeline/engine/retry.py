"""Ask again for rows that failed: their lots, and what was made from those, count as not done; a build does the rest.

What a remote model answered in such a lot is in its journal, so that only the failed rows are asked. A model that runs
here makes the whole lot anew, with the same bytes but for what had failed, and for what follows from it: a prompt that
comes back takes its part of the lot's picture counts and detours, so later plans of the lot may be others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from underpaint.pipeline.engine.graph import Node, descendants
from underpaint.pipeline.engine.journal import Journal
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.errors import UserError
from underpaint.stages.common.suggest import did_you_mean


@dataclass(frozen=True)
class FailedLot:
    """A lot with quarantined rows of the kind asked for."""

    node: Node
    lot: int
    failures: Sequence[Mapping[str, Any]]


def failed_lots(run: Run, stage: str = "", error: str = "") -> list[FailedLot]:
    """Lots of a stage (of all, if "") with rows that failed with an error class (with any, if "").

    Raises UserError for a stage or an error that there is not.
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
    """Let these lots count as not done, with what was made from them; the last made goes first, should it be killed."""
    for failed in lots:
        at_fault = {digest for failure in failed.failures for digest in failure["requests"]}
        Journal(run.store.journal(failed.node, failed.lot)).forget(at_fault)
        for name in reversed([failed.node.name, *descendants(run.nodes, failed.node.name)]):
            run.store.undo(run.nodes[name], failed.lot)
