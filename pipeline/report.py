"""The report: one static page that shows the funnel, the quotas, and samples as a trainer will get them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from pipeline.explain import status
from pipeline.pages import picture_source, render_page
from pipeline.run import Run
from pipeline.select import SUBSETS
from pipeline.shard import read_shard
from pipeline.store import atomic_write
from schemas.sample import Sample

TITLES = {
    "multi_turn": "Multi-turn generation",
    "conflict_positive": "Conflict, positive: the step's text agrees with the prompt",
    "conflict_negative": "Conflict, negative: the step's text contradicts the prompt",
    "alignment_positive": "Alignment, positive: the draft shows what the step asks for",
    "alignment_negative": "Alignment, negative: the draft does not; analysis, correction, corrected picture",
}


def write_report(run: Run, each: int) -> Path:
    """Write ``report.html`` into the run's folder, with up to `each` samples of every kind; gives its path."""
    samples, facts = _read(run.corpus, each)
    page = render_page(
        "report.html.j2", recipe=run.recipe.name, seed=run.recipe.seed, status=status(run), titles=TITLES,
        samples=samples, facts=facts, state=run.state(),
    )  # fmt: skip
    atomic_write(run.root / "report.html", page)
    return run.root / "report.html"


def _read(corpus: Path, each: int) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """The first samples of every kind in the shards' order, and figures over all of them."""
    kinds = {v: k for k, v in SUBSETS.items()}
    shown: dict[str, list[dict[str, Any]]] = defaultdict(list)
    pictures: Counter[int] = Counter()
    detours: Counter[str] = Counter()
    tries: Counter[int] = Counter()
    categories: dict[str, Counter[str]] = defaultdict(Counter)
    for shard in sorted(corpus.glob("*/*.tar")):
        for sample, files in read_shard(shard):
            kind = kinds[sample.subset, sample.polarity]
            extra = json.loads(sample.extra)
            categories[sample.category][kind] += 1
            if kind == "multi_turn":
                pictures[sample.n_images] += 1
                detours[extra["detour"] or "none"] += 1
            if kind == "alignment_negative":
                tries[extra["tries"]] += 1
            if len(shown[kind]) < each:
                shown[kind].append(_view(sample, files))
    facts = {"pictures": pictures, "detours": detours, "tries": tries, "categories": categories}
    return dict(shown), facts


def _view(sample: Sample, files: list[bytes]) -> dict[str, Any]:
    data = {p.name: (p, f) for p, f in zip(sample.images, files, strict=True)}
    parts = []
    for segment in sample.segments[1:]:
        part = segment.model_dump()
        if segment.image:
            picture, file = data[segment.image]
            part["source"] = picture_source(file)
            part["scores"] = [(s.name.replace("_", " "), s.value) for s in picture.scores]
        parts.append(part)
    return {"sample": sample, "parts": parts}
