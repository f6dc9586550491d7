"""Writes the report: one static page with the funnel, the quotas, and samples as a trainer gets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from underpaint.pipeline.common.atomic import atomic_write
from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.corpus.figures import Facts, read_facts
from underpaint.pipeline.corpus.repair_figures import repairs
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.pipeline.report.pages import picture_source, render_page
from underpaint.pipeline.selection.decisions import load_decisions
from underpaint.pipeline.selection.judge_figures import bent_text, share_text
from underpaint.pipeline.selection.judge_gate import FIGURES, read_calibration, shortfalls
from underpaint.pipeline.selection.pool import open_pool
from underpaint.pipeline.selection.quota_status import status
from underpaint.pipeline.selection.select import select
from underpaint.pipeline.selection.threshold_grid import yields
from underpaint.schemas.corpus.sample import Sample
from underpaint.schemas.corpus.subsets import SAMPLE_KINDS
from underpaint.schemas.interval import Share
from underpaint.schemas.markup import parse_plan
from underpaint.stages import calibration as calibration_stage
from underpaint.stages import plan


def write_report(run: Run, each: int, against: Path | None = None) -> Path:
    """Write ``report.html`` into the run's folder, with up to `each` samples of every kind. Returns its path.

    `against` is another run or its recipe; its kinds of fault are shown beside this run's. Raises UserError.
    """
    facts = read_facts(run.corpus, each)
    calibration = read_calibration(run.recipe, run.nodes, run.store)
    lots, candidates, benchmarks = run.lots_done(), run.candidates(), run.recipe.benchmarks()
    selection = select(run.recipe, run.nodes, run.store, lots, candidates, benchmarks)
    pool, contaminated = open_pool(candidates.table(lots), benchmarks, load_decisions(run.root))
    page = render_page(
        "report.html.j2", recipe=run.recipe.name, seed=run.recipe.seed, state=run.state(), builds=run.builds(),
        plan=run.recipe.params(plan.STAGE), status=status(run, selection), facts=facts,
        titles={name: kind.title for name, kind in SAMPLE_KINDS.items()},
        samples={kind: [view_sample(*whole) for whole in shown] for kind, shown in facts.shown.items()},
        repairs=repairs(run.nodes["repair"], run.store, lots["sampled"]), grid=yields(pool, run.recipe.select),
        contaminated=contaminated, benchmarks=benchmarks, errors=_errors(run.recipe.name, facts, against),
        calibration=calibration, shortfalls=shortfalls(run.recipe, calibration), figure_names=FIGURES,
        share_text=share_text, bent_text=bent_text,
        observations=run.recipe.params(calibration_stage.STAGE).observations,
    )  # fmt: skip
    atomic_write(run.root / "report.html", page)
    return run.root / "report.html"


def corpus_of(place: Path) -> Path:
    """The corpus folder of a run's folder, of a recipe (in ``runs/<name>``), or of a corpus. Raises UserError."""
    folder = Path("runs") / load_recipe(place).name if place.is_file() else place
    found = folder if (folder / "index.json").exists() else folder / "corpus"
    if not (found / "index.json").exists():
        raise UserError(f"{place}: no corpus in {folder}; give a recipe that was built, or the folder of its run")
    return found


def _errors(name: str, facts: Facts, against: Path | None) -> list[dict[str, Any]]:
    """For each side: the number of negatives of each corpus, and by kind of fault the share of those that name it."""
    corpora = {name: facts}
    if against is not None:
        corpora[against.stem if against.stem != name else str(against)] = read_facts(corpus_of(against))
    found = []
    for side in ("text", "picture"):
        shares = [f.finding_shares(side) for f in corpora.values()]
        kinds = dict.fromkeys(kind for mine in shares for kind in mine)
        judged = {n: f.judged[side] for n, f in corpora.items()}
        rows = [
            (kind, [mine.get(kind, Share(0, of)) for mine, of in zip(shares, judged.values(), strict=True)])
            for kind in kinds
        ]
        found.append({"side": side, "corpora": judged, "rows": rows})
    return found


def view_sample(sample: Sample, files: list[bytes]) -> dict[str, Any]:
    """The values for strip.html.j2: the segments in order, pictures with their source and scores."""
    data = {p.name: (p, f) for p, f in zip(sample.images, files, strict=True)}
    parts = []
    for segment in sample.segments[1:]:
        part = segment.model_dump()
        part["plan"] = parse_plan(segment.text) if segment.stage == "plan" else ()
        if segment.image:
            picture, file = data[segment.image]
            part["source"] = picture_source(file)
            part["scores"] = [(s.name.replace("_", " "), s.value) for s in picture.scores]
        parts.append(part)
    return {"sample": sample, "parts": parts}
