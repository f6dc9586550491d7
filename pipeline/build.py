"""Builds a corpus: rounds of lots until every quota is met, then the selection, then the shards.

Read it from top to bottom as the story of a run.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from underpaint.pipeline.common.atomic import atomic_write
from underpaint.pipeline.common.errors import BuildError, UserError, disk_full
from underpaint.pipeline.corpus.build_corpus import write_shards
from underpaint.pipeline.engine.graph import YIELDS, Node, stage_lots
from underpaint.pipeline.engine.progress import stage_bar
from underpaint.pipeline.engine.ray_pool import Pool, StartError, pool
from underpaint.pipeline.engine.run_folder import Run, claim
from underpaint.pipeline.engine.worker import stage_worker
from underpaint.pipeline.recipe.quotas import lots_wanted, of_kinds
from underpaint.pipeline.selection.judge_gate import SideFigures, check_floor, read_calibration
from underpaint.pipeline.selection.judge_watch import Watch
from underpaint.pipeline.selection.select import Selection, select, short_of
from underpaint.schemas.scenes.critique import Side
from underpaint.stages.common.ledger import balances
from underpaint.stages.prompts import STAGE as PROMPTS


@dataclass
class Counts:
    """How many lots this build made and how many were done before, over all stages and rounds, each counted once."""

    made: int = 0
    reused: int = 0
    seen: Counter[str] = field(default_factory=Counter)  # lots of each stage that an earlier round asked for
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # wall-clock time by stage


def build(run: Run, console: Console, workers: int | None = None, ship_anyway: bool = False) -> Selection:
    """Build the corpus. What is already in the store is not made again.

    Raises UserError (impossible quotas, no room, another build at work in the folder), and BuildError, also where the
    judge is worse than the recipe's floor or goes bad on the way, unless `ship_anyway`.
    """
    _check_ready(run)
    counts, number, start = Counts(), workers or run.recipe.run.workers, time.monotonic()
    watch = _watch(run, ship_anyway)
    try:
        with claim(run), pool(number, run.recipe.run.cpus, console.print) as actors:
            _run_stages(run, console, _calibration_lots(run), actors, counts, watch)
            check_floor(run.recipe, run.nodes, run.store, ship_anyway)  # before any picture is painted
            lots, selection = _rounds(run, console, actors, counts, watch)
            console.print(f"  lots: {counts.made} made, {counts.reused} reused", highlight=False)
            _check_ledgers(run, lots)
            write_shards(run, selection, console, actors)
            _note(run, builds=[*run.builds(), _account(counts, number, time.monotonic() - start)])
    except OSError as e:
        raise disk_full(run.root, e) or e from None
    return selection


def _note(run: Run, **known: Any) -> None:
    """Write what is known about the build now to ``build.json``."""
    atomic_write(run.root / "build.json", json.dumps({**run.state(), **known}).encode())


def _account(counts: Counts, workers: int, seconds: float) -> dict[str, Any]:
    """The entry of one build in ``build.json``: lots made and reused, and wall-clock seconds."""
    stages = {stage: round(took, 1) for stage, took in counts.seconds.items()}
    done = {"workers": workers, "made": counts.made, "reused": counts.reused}
    return {**done, "seconds": round(seconds, 1), "stages": stages}


def _check_ready(run: Run) -> None:
    playing = run.recipe.cast(type(run.recipe.roles).model_fields).values()
    for name in sorted({*playing, *(name for node in run.nodes.values() for name, _ in node.named)}):
        if why := run.recipe.models[name].unready():
            raise UserError(f"field models.{name}: {why}")


def calibrate(run: Run, console: Console, workers: int | None = None) -> dict[Side, SideFigures]:
    """Run only the calibration of the judge. A later build reuses its lots. Raises UserError, BuildError."""
    if not run.recipe.calibration.cases:
        raise UserError("the recipe asks for no calibration; set calibration.cases to 200 or so")
    _check_ready(run)
    settings = run.recipe.run
    with claim(run, building=False), pool(workers or settings.workers, settings.cpus, console.print) as actors:
        _run_stages(run, console, _calibration_lots(run), actors, Counts(), _watch(run))
    return read_calibration(run.recipe, run.nodes, run.store)


def _watch(run: Run, off: bool = False) -> Watch:
    return Watch(run.recipe, run.nodes, run.store, off or run.recipe.calibration.ship_anyway)


def _calibration_lots(run: Run) -> dict[str, int]:
    return {"calibrated": run.recipe.calibration.lots(run.recipe.lot_size)}


def _rounds(run: Run, console: Console, actors: Pool, counts: Counts, watch: Watch) -> tuple[dict[str, int], Selection]:
    """Run rounds, each with as many lots as the yields so far call for, until every quota is met."""
    quota, limits = run.recipe.quotas.cells(), run.recipe.rounds
    candidates, benchmarks = run.candidates(), run.recipe.benchmarks()
    lots = dict.fromkeys(YIELDS, 0) | _calibration_lots(run)
    selection = Selection()
    prompts = run.recipe.params(PROMPTS).length()
    listed = None if prompts is None else -(-prompts // run.recipe.lot_size)
    most = limits.max_lots if listed is None else min(listed, limits.max_lots)
    for round in range(1, limits.max_rounds + 1):
        wanted = lots | {
            branch: lots_wanted(
                of_kinds(quota, YIELDS[branch]), selection.cells, selection.recent, lots[branch], limits.pilot, most
            )
            for branch in YIELDS
        }
        if wanted == lots:
            break
        console.print(f"round {round}: " + ", ".join(f"{wanted[b]} lots {b}" for b in YIELDS), highlight=False)
        lots = wanted
        _note(run, lots=lots, rounds=round)
        _run_stages(run, console, lots, actors, counts, watch)
        selection = select(run.recipe, run.nodes, run.store, lots, candidates, benchmarks)
    if not selection.met(quota):
        if listed is not None and max(lots[b] for b in YIELDS) == listed:
            source = run.recipe.params(PROMPTS).source
            raise UserError(
                f"the prompt list ends before the quotas are met: {prompts} prompts ({listed} lots), none left\n  "
                + "\n  ".join(short_of(selection, quota, lots))
                + f"\nadd prompts to {source and source.path}, go through it more often (field"
                " stages.prompts.source.repeat), or lower the quotas"
            )
        raise UserError(
            f"the quotas cannot be met in {limits.max_rounds} rounds and {limits.max_lots} lots a branch:\n  "
            + "\n  ".join(short_of(selection, quota, lots))
            + "\nlower them (field quotas), allow more (field rounds), or loosen the thresholds (field select)"
        )
    return lots, selection


def _run_stages(
    run: Run, console: Console, lots: Mapping[str, int], actors: Pool, counts: Counts, watch: Watch
) -> None:
    for stage, number in stage_lots(lots).items():
        node = run.nodes[stage]
        todo = [i for i in range(number) if not run.store.is_done(node, i)]
        counts.reused += number - counts.seen[stage] - len(todo)
        counts.made += len(todo)
        counts.seen[stage] = number
        for lot in sorted(set(range(number)) - set(todo)):
            watch.lot(node, lot)
        if todo:
            start = time.monotonic()
            _run_stage(run, console, node, todo, number - len(todo), actors, watch)
            counts.seconds[stage] += time.monotonic() - start


def _run_stage(
    run: Run, console: Console, node: Node, todo: list[int], reused: int, actors: Pool, watch: Watch
) -> None:
    with stage_bar(console, node.name, len(todo), reused) as advance:
        arguments = run.recipe, node.name, str(run.root.resolve()), node.fingerprint

        def done(lot: int, manifest: Any) -> None:
            advance()
            watch.lot(node, lot, manifest)  # at once: other lots of the stage may still be waiting

        try:
            report = actors.run(stage_worker, arguments, todo, gpus=run.gpus(node), on_done=done)
        except StartError as e:
            raise BuildError(f"{node.name}: {e}") from e
    if report.redone:
        console.print(f"  {report.redone} lots redone after a worker died", highlight=False)
    for lot, error in sorted(report.errors.items()):
        raise disk_full(run.root, error) or BuildError(
            f"{node.name}: {len(report.errors)} of {len(todo)} lots could not be made; lot {lot}:"
            f" {type(error).__name__}: {error}\nbuild again to retry them; everything else is kept"
        )


def _check_ledgers(run: Run, lots: Mapping[str, int]) -> None:
    for stage, number in stage_lots(lots).items():
        for lot in range(number):
            ledger = run.store.manifest(run.nodes[stage], lot)["ledger"]
            if not balances(ledger):
                raise BuildError(f"{stage}, lot {lot}: the ledger does not balance: {ledger}")
