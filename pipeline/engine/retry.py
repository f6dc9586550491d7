"""Retries failed rows: marks their lots, and the lots made from them, as not done; the next build makes them again.

The answers of a remote model are in the lot's journal, so only failed rows are asked again. A model that runs here
makes the whole lot again. Only failed rows, and what follows from them, can then change: a prompt that succeeds now
takes its share of the lot's picture counts and detours, so plans of later prompts of the lot may change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from underpaint.pipeline.engine.graph import Node
from underpaint.pipeline.engine.journal import Journal
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.errors import UserError
from underpaint.stages.common.suggest import did_you_mean

UNANSWERED = ("EndpointError",)  # such a row has no answer in the journal


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
        journal = Journal(run.store.journal(failed.node, failed.lot))
        journal.forget(partial(_is_at_fault, failed.failures, journal))
        for name in reversed([failed.node.name, *_descendants(run, failed.node.name)]):
            run.store.undo(run.nodes[name], failed.lot)


def _is_at_fault(failures: Sequence[Mapping[str, Any]], journal: Mapping[str, str], request: str) -> bool:
    """Whether a request's answer made a row fail. Its text is not enough, since other rows may have asked the same.

    A failure keeps all answers of its row, one per line. The failure of a picture keeps none; there the text decides.
    """
    mine = [f for f in failures if f["request"] == json.loads(request)["text"]]
    answer = f"\n{journal[request]}\n"
    return any(answer in f"\n{f['response']}\n" or not (f["response"] or f["error"] in UNANSWERED) for f in mine)


def _descendants(run: Run, stage: str) -> list[str]:
    """All stages downstream of a stage, in the order of the graph."""
    found = {stage}
    for name, node in run.nodes.items():
        if found & set(node.stage.inputs):
            found.add(name)
    return [name for name in run.nodes if name in found - {stage}]
