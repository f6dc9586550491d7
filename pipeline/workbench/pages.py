"""Writes the workbench's pages (preview and comparison), and the preview as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from underpaint.pipeline.common.atomic import atomic_write
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.report.pages import picture_source, render_page
from underpaint.pipeline.workbench.asking import Answered
from underpaint.pipeline.workbench.comparison import VERDICTS, TemplateComparison
from underpaint.pipeline.workbench.subjects import Subject
from underpaint.stages.common.templating import Template


def write_preview(run: Run, template: Template, answered: Sequence[Answered]) -> Path:
    """Write ``templates/preview-<id>.html``: each step's request, picture and answer. Returns its path."""
    views = [{"answered": a, "pictures": _pictures(a.subject, template)} for a in answered]
    values = {"recipe": run.recipe.name, "template": template, "views": views}
    return _write(run, f"preview-{template.id}", "preview.html.j2", values)


def preview_lines(answered: Sequence[Answered]) -> list[str]:
    """The preview as text, without the pictures."""
    lines: list[str] = []
    for a in answered:
        lines += [f"== {a.subject.unit}", a.request, *(f"-- {answer}" for answer in a.answers), f"read: {_read(a)}", ""]
    return lines


def _read(a: Answered) -> str:
    if a.parsed is None:
        return f"nothing: {a.error}"
    if "verdict" not in a.parsed:
        return json.dumps(a.parsed, ensure_ascii=False)
    faults = "; ".join(f"{f['kind']}: {f['detail']}" for f in a.parsed["findings"])
    return f"{a.verdict} ({faults}); correction: {a.parsed['correction']}" if faults else a.verdict


def write_comparison(run: Run, found: TemplateComparison) -> Path:
    """Write ``templates/compare-<a>-<b>.html``: the figures and every disagreement. Returns its path."""
    a, b = found.templates
    views = [
        {"a": one, "b": two, "truth": truth, "pictures": _pictures(one.subject, a, b)}
        for one, two, truth in found.disagreements()
    ]
    shifts = [(v, [found.shifts[v, w] for w in VERDICTS]) for v in VERDICTS]
    values = {"recipe": run.recipe.name, "found": found, "views": views, "verdicts": VERDICTS, "shifts": shifts}
    return _write(run, f"compare-{a.id}-{b.id}", "compare.html.j2", values)


def _pictures(subject: Subject, *templates: Template) -> list[tuple[str, str]]:
    """(name, address) of every picture of a step that one of the templates shows."""
    files = subject.files({name for template in templates for name in template.pictures})
    return [(name, picture_source(file)) for name, file in files.items()]


def _write(run: Run, name: str, page: str, values: dict[str, Any]) -> Path:
    target = run.root / "templates" / f"{name}.html"
    atomic_write(target, render_page(page, **values))
    return target
