"""``underpaint select``: selects again from the stored candidates, or shows what other thresholds would yield."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from underpaint.pipeline.cli.terminal import AsJson, Out, RecipeFile, ShipAnyway, console, show
from underpaint.pipeline.common.errors import UserError

SETTABLE = ("select", "quotas", "decontaminate")  # fields on which no table of the store depends


def select(
    recipe: RecipeFile,
    out: Out = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the yields; write nothing.")] = False,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="With --dry-run: a field of select, quotas or decontaminate.")
    ] = None,
    ship_anyway: ShipAnyway = False,
    json: AsJson = False,
) -> None:
    """Select samples again from the lots that are done, and write the shards. No stage runs, no model is loaded.

    With --dry-run nothing is written; it shows quotas with their yields, and what other thresholds would accept.

    Example: [bold]underpaint select recipes/miniature.yaml --dry-run --set select.min_margin=0.05[/bold]
    """
    from underpaint.pipeline.engine.run_folder import open_run
    from underpaint.pipeline.selection.quota_status import quota_lines, quota_status
    from underpaint.pipeline.selection.select import select as choose

    if change and not dry_run:
        raise UserError("--set is for --dry-run; write what you found into the recipe and select again")
    run = open_run(recipe, out, [_change(c) for c in change or []])
    lots = run.lots_done()
    if not any(lots.values()):
        raise UserError(f"{run.root} holds no lot of the recipe as it is now; run `underpaint build {recipe}`")
    candidates, benchmarks = run.candidates(), run.recipe.benchmarks()
    selection = choose(run.recipe, run.nodes, run.store, lots, candidates, benchmarks)
    quotas = quota_status(run, selection)
    found: list[Any] = []
    lines = quota_lines(quotas)
    if dry_run:
        found, grid = _grid(run, candidates.table(lots), benchmarks, quotas)
        lines = [", ".join(f"{n} lots {branch}" for branch, n in lots.items()), *lines, "", *grid]
    else:
        _apply(run, selection, lots, ship_anyway)
    if benchmarks.lines:
        lines += ["", f"{len(selection.contaminated)} prompts removed; {benchmarks.summary()}"]
    contaminated = {prompt: asdict(hit) for prompt, hit in selection.contaminated.items()}
    whole = {"lots": lots, "quotas": quotas, "yields": [asdict(y) for y in found], "contaminated": contaminated}
    show(whole, json, lines)


def _change(text: str) -> tuple[str, str]:
    """ "select.min_margin=0.05" → ("select.min_margin", "0.05"). Raises UserError for a field that stages depend on."""
    field, equals, value = text.partition("=")
    if not equals or field.split(".")[0] not in SETTABLE:
        raise UserError(f"--set {text}: write field=value, the field within {', '.join(SETTABLE)}")
    return field, value


def _grid(run: Any, table: Any, benchmarks: Any, quotas: Any) -> tuple[list[Any], list[str]]:
    """What other thresholds would accept, and the same as text."""
    from underpaint.pipeline.selection.decisions import load_decisions
    from underpaint.pipeline.selection.pool import open_pool
    from underpaint.pipeline.selection.threshold_grid import yield_lines, yields

    pool, _ = open_pool(table, benchmarks, load_decisions(run.root))
    found = yields(pool, run.recipe.select)
    return found, yield_lines(found, [k for k, q in quotas.items() if q["candidates"]])


def _apply(run: Any, selection: Any, lots: Any, ship_anyway: bool) -> None:
    """Write the shards. Raises UserError where quotas are not met, BuildError where the judge is under its floor."""
    from underpaint.pipeline.corpus.build_corpus import write_shards
    from underpaint.pipeline.engine.ray_pool import pool
    from underpaint.pipeline.engine.run_folder import claim
    from underpaint.pipeline.selection.judge_gate import check_floor
    from underpaint.pipeline.selection.select import short_of

    if short := short_of(selection, run.recipe.quotas.cells(), lots):
        raise UserError("\n  ".join(["the lots that are done do not meet the quotas:", *short, "build again"]))
    check_floor(run.recipe, run.nodes, run.store, ship_anyway)
    with claim(run, building=False), pool(run.recipe.run.workers, run.recipe.run.cpus) as actors:
        write_shards(run, selection, console, actors)
