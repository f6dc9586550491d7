"""Turns the selection into the corpus: writes shards in parallel, then puts the whole folder in place by a rename.

``selection.jsonl`` lists the samples of the published corpus, so it is replaced together with it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from underpaint.pipeline.common.atomic import atomic_write, publish
from underpaint.pipeline.common.errors import BuildError, UserError, disk_full
from underpaint.pipeline.common.installation import code_commit
from underpaint.pipeline.corpus.assemble import Assembler, Built, config_sha256, model_names
from underpaint.pipeline.corpus.card import CorpusInfo
from underpaint.pipeline.corpus.card_facts import model_notes
from underpaint.pipeline.corpus.corpus_files import begin_corpus, finish_corpus
from underpaint.pipeline.corpus.figures import read_facts
from underpaint.pipeline.corpus.repair_figures import repairs
from underpaint.pipeline.corpus.shard import Ref, ShardPlan, ShardResult, plan_shards, write_shard
from underpaint.pipeline.engine.graph import YIELDS, build_graph
from underpaint.pipeline.engine.progress import stage_bar
from underpaint.pipeline.engine.ray_pool import Pool
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.engine.store import Store
from underpaint.pipeline.recipe.quotas import shard_numbers
from underpaint.pipeline.recipe.recipe import Recipe
from underpaint.pipeline.selection.judge_gate import read_calibration, shortfalls
from underpaint.pipeline.selection.quota_status import status
from underpaint.pipeline.selection.reference import Reference, to_json
from underpaint.pipeline.selection.select import Selection
from underpaint.stages.all_stages import BRANCHES
from underpaint.stages.common.code_digest import PROJECT, code_digest

SELECTION = "selection.jsonl"
CHOSEN = f".{SELECTION}.part"  # the selection of a corpus not published yet; `gc` deletes files of such a name
SHARD_CODE = (*PROJECT, "underpaint.pipeline.corpus", "underpaint.pipeline.recipe.quotas")  # what makes the shards


def write_shards(run: Run, selection: Selection, console: Console, actors: Pool) -> None:
    """Write ``corpus/`` and its selection. The old corpus stays readable until the new one is complete.

    If the old corpus is the one that this selection makes, only ``selection.jsonl`` is written.
    """
    info = _info(run, selection)
    if not selection.chosen:
        raise UserError("the quotas ask for no sample at all (field quotas); there is nothing to write")
    chosen = to_json(selection.chosen).encode()
    if _published(run.corpus) == (info.recipe_sha256, info.pipeline_commit):
        atomic_write(run.root / SELECTION, chosen)  # a build may have been killed between the two renames
        console.print("  shards             up to date", highlight=False)
        return
    fresh = run.root / "corpus.new"
    shutil.rmtree(fresh, ignore_errors=True)
    staging = begin_corpus(fresh)
    plans = shard_plans(run.recipe, selection.chosen)
    atomic_write(run.root / CHOSEN, chosen)
    arguments = run.recipe, str(run.root.resolve()), str(staging.resolve())
    with stage_bar(console, "shards", len(plans), 0, "shards") as advance:
        report = actors.run(shard_worker, arguments, range(len(plans)), on_done=advance)
    for number, error in sorted(report.errors.items()):
        raise disk_full(run.root, error) or BuildError(f"{plans[number].path}: {type(error).__name__}: {error}")
    made = repairs(run.nodes["repair"], run.store, run.lots_done()["sampled"])
    info = replace(info, facts=read_facts(staging), repairs=made)
    finish_corpus(staging, fresh, list(report.results.values()), info)
    former = run.root / "corpus.old"
    shutil.rmtree(former, ignore_errors=True)
    if run.corpus.exists():
        run.corpus.rename(former)
    publish(fresh, run.corpus)
    publish(run.root / CHOSEN, run.root / SELECTION)
    shutil.rmtree(former, ignore_errors=True)


def shard_worker(recipe: Recipe, root: str, staging: str) -> Callable[[int], ShardResult]:
    """Runs in an actor: reads the new selection from the run's folder. The returned function writes shard number n."""
    lines = (Path(root) / CHOSEN).read_text().splitlines()
    plans = shard_plans(recipe, [Reference(**json.loads(line)) for line in lines])
    assembler = Assembler(recipe, build_graph(recipe), Store(Path(root)))

    def load(refs: Sequence[Ref]) -> Iterator[Built]:
        return (assembler(ref.payload) for ref in refs)

    return lambda number: write_shard(Path(staging), plans[number], load)


def shard_plans(recipe: Recipe, chosen: Sequence[Reference]) -> list[ShardPlan]:
    """Which sample goes into which shard; every process computes the same."""
    numbers = shard_numbers(recipe.quotas.numbers(), recipe.shards.model_dump(exclude={"encoding"}, exclude_none=True))
    return plan_shards((Ref(r.id, r.subset, r.split, r.pictures, r) for r in chosen), numbers)


def _info(run: Run, selection: Selection) -> CorpusInfo:
    recipe, found = run.recipe, status(run, selection)
    models = model_notes(recipe, model_names(recipe))
    chosen = "".join(f"{r.id} {r.sample} {r.rollout} {r.step} {r.split}\n" for r in selection.chosen)
    short = "".join(f" {s}." for s in shortfalls(recipe, read_calibration(recipe, run.nodes, run.store)))
    licenses = " ".join([recipe.license, *(m.license for m in models)])
    tables = "".join(sorted(_tables(run, selection.chosen)))
    code = code_digest(__name__, packages=SHARD_CODE)  # a commit does not tell of uncommitted edits
    code += (Path(__file__).parent / "card.md.j2").read_text()
    whole = config_sha256(recipe, run.nodes) + chosen + tables + licenses + short + code
    identity = hashlib.sha256(whole.encode()).hexdigest()
    return CorpusInfo(
        name=f"underpaint-{recipe.name}", recipe_sha256=identity, pipeline_commit=code_commit(),
        title=f"underpaint: {recipe.name}", license=recipe.license,
        summary=f"Interleaved plan, sketch, inspect and refine trajectories, built with underpaint from the recipe"
        f" `{recipe.name}` (seed {recipe.seed})." + (f" Shipped under its own floor:{short}" if short else ""),
        models=models, funnel=tuple(found["stages"]), quotas=found["quotas"],
    )  # fmt: skip


def _tables(run: Run, chosen: Sequence[Reference]) -> set[str]:
    """The digests of all tables from which samples are made; a remote model may give other tables for the same lot."""
    branches = {(b, r.sample // run.recipe.lot_size) for r in chosen for b, kinds in YIELDS.items() if r.name in kinds}
    return {run.store.manifest(run.nodes[s], lot)["sha256"] for branch, lot in branches for s in BRANCHES[branch]}


def _published(corpus: Path) -> tuple[str, str] | None:
    if not (corpus / "index.json").exists():
        return None
    index: dict[str, Any] = json.loads((corpus / "index.json").read_text())
    return index["recipe_sha256"], index["pipeline_commit"]
