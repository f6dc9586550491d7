"""Lists the templates: where each is used, how often it is drawn, and its share in the corpus."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from underpaint.pipeline.recipe.recipe import Recipe, templates_for
from underpaint.stages.all_stages import STAGES
from underpaint.stages.common.templating import Template


@dataclass(frozen=True)
class Listed:
    """A template and its use. `drawn` is the share of its task's questions for which each stage draws it."""

    template: Template
    drawn: dict[str, float]
    samples: int | None  # of the corpus; None without a corpus, and for writers' templates, which samples do not name
    corpus: int  # how many samples of the corpus have a critique


def list_templates(by_task: dict[str, list[Template]], corpus: Path | None) -> list[Listed]:
    """All templates by task. Samples are counted by a template's id, so those of its earlier versions count too."""
    made = _samples_by_template(corpus) if corpus is not None else None
    whole = sum(made.values()) if made is not None else 0
    drawn: dict[str, dict[str, float]] = {}
    for stage in STAGES.values():
        for templates in templates_for(
            stage, {task: [t for t in ts if t.weight] for task, ts in by_task.items()}
        ).values():
            total = sum(t.weight for t in templates)
            for t in templates:
                drawn.setdefault(t.id, {})[stage.name] = t.weight / total
    return [
        Listed(t, drawn.get(t.id, {}), made[t.id] if made is not None and t.role == "judge" else None, whole)
        for templates in by_task.values()
        for t in templates
    ]


def _samples_by_template(corpus: Path) -> Counter[str]:
    column = pq.read_table(corpus / "manifest.parquet", columns=["template"])["template"].to_pylist()
    return Counter(id for id in column if id)


def listing_lines(listed: list[Listed]) -> list[str]:
    """Two lines per template: its version, task, weight and share, and where it is used."""
    lines = []
    for each in listed:
        t = each.template
        share = ""
        if each.samples is not None:
            share = f"; {each.samples} samples"
            share += f", {each.samples / each.corpus:.1%} of those with a critique" if each.corpus else ""
        lines.append(f"{t.id}  version {t.version}, {t.task}, weight {t.weight:g}, {t.digest[:8]}{share}")
        used = ", ".join(f"{stage} {part:.0%}" for stage, part in each.drawn.items())
        used = f"used in {used}" if used else "switched off" if not t.weight else "used nowhere"
        told = f"; asks the model {t.model}" if t.model else ""
        told += f"; in the dialect {t.dialect}, which no other model was taught" if t.dialect else ""
        lines.append(f"    {used}; {len(t.examples)} examples{told}; {t.file}")
    return lines


def every_template(recipe: Recipe) -> dict[str, Template]:
    """All templates by id, including those that the recipe's weights switch off."""
    return {t.id: t for templates in recipe.every_template().values() for t in templates}
