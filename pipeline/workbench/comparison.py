"""Compares two templates of one task on the same stored steps: how often they agree, and which one is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.workbench.asking import Answered, ask, load_model, summary_lines
from underpaint.pipeline.workbench.subjects import stored_subjects
from underpaint.pipeline.workbench.truth import Calibration, Truth, calibration_cases, count_against, known_truths
from underpaint.schemas.scenes.critique import Side
from underpaint.stages.common.templating import Template
from underpaint.stages.prompting.tasks import TASKS

VERDICTS = ("consistent", "incomplete", "conflict", "unread")


@dataclass(frozen=True)
class TemplateComparison:
    """The answers of two templates A and B, with what is known to be true.

    `answered` and `truths` are about stored steps; `tried` and `case_truths` about the run's calibration cases, whose
    truth is always known.
    """

    templates: tuple[Template, Template]
    answered: tuple[list[Answered], list[Answered]]
    truths: list[Truth | None]
    tried: tuple[list[Answered], list[Answered]] = ([], [])
    case_truths: Sequence[Truth | None] = ()

    @property
    def names(self) -> tuple[str, str]:
        """What tells the two apart: their ids or, where these are equal, their dialects or folders too."""
        a, b = self.templates
        return (a.id, b.id) if a.id != b.id else (_place(a, b), _place(b, a))

    @property
    def shifts(self) -> Counter[tuple[str, str]]:
        """How many steps got each pair (A's verdict, B's verdict)."""
        return Counter((a.verdict, b.verdict) for a, b in zip(*self.answered, strict=True))

    @property
    def agreeing(self) -> tuple[int, int]:
        """(steps on which both agree whether it is a conflict, steps to which both gave a readable answer)."""
        both = [pair for pair in self.shifts.elements() if "unread" not in pair]
        return sum((a == "conflict") == (b == "conflict") for a, b in both), len(both)

    @property
    def kinds(self) -> tuple[Counter[str], ...]:
        """For each template, how often it named each kind of finding."""
        return tuple(Counter(kind for a in side for kind in a.kinds) for side in self.answered)

    @property
    def calibrations(self) -> tuple[Calibration, ...]:
        """For each template, its figures on the stored steps whose truth is known."""
        return tuple(count_against(side, self.truths) for side in self.answered)

    @property
    def case_calibrations(self) -> tuple[Calibration, ...]:
        """For each template, its figures on the calibration cases."""
        return tuple(count_against(side, self.case_truths) for side in self.tried)

    def disagreements(self) -> list[tuple[Answered, Answered, Truth | None]]:
        """The steps with different verdicts; those where only one template says conflict come first."""
        rows = [row for row in zip(*self.answered, self.truths, strict=True) if row[0].verdict != row[1].verdict]
        return sorted(rows, key=lambda r: (r[0].verdict == "conflict") == (r[1].verdict == "conflict"))

    def to_json(self) -> dict[str, Any]:
        """The figures as plain JSON values."""
        same, both = self.agreeing
        return {
            "templates": [
                {"id": t.id, "name": name, "digest": t.digest}
                for t, name in zip(self.templates, self.names, strict=True)
            ],
            "steps": len(self.truths), "agreeing": same, "read_by_both": both,
            "shifts": [{"a": a, "b": b, "steps": n} for (a, b), n in sorted(self.shifts.items())],
            "kinds": [dict(sorted(k.items())) for k in self.kinds],
            "calibration": [asdict(c) for c in self.calibrations], "cases": len(self.case_truths),
            "calibration_of_cases": [asdict(c) for c in self.case_calibrations],
        }  # fmt: skip


def compare_templates(run: Run, a: Template, b: Template, number: int) -> TemplateComparison:
    """Ask both templates about the same `number` stored steps, and as many calibration cases.

    Raises UserError where they are not critiques of one task.
    """
    if a.task != b.task or TASKS[a.task].role != "judge":
        raise UserError(f"{a.id} is for {a.task}, {b.id} for {b.task}; compare two critiques of one task")
    subjects, model = stored_subjects(run, a, number), load_model(run, a)
    other = model if a.model == b.model else load_model(run, b)
    side = Side(a.task.removeprefix("critique_"))
    answers = ask(run, model, a, subjects), ask(run, other, b, subjects)
    cases, truths, words = calibration_cases(run, side, number)
    tried = ask(run, model, a, cases, words), ask(run, other, b, cases, words)
    return TemplateComparison((a, b), answers, known_truths(run, side, subjects), tried, truths)


def comparison_lines(found: TemplateComparison) -> list[str]:
    """The figures of a comparison as text."""
    a, b = found.names
    same, both = found.agreeing
    lines = [
        f"{len(found.truths)} steps; of the {both} that both judged readably, they agree on fault or none in {same}"
    ]
    corner = f"{a} ↓, {b} →"
    wide = max(28, len(corner))
    lines += ["", corner.ljust(wide) + "".join(v.rjust(12) for v in VERDICTS)]
    lines += [v.ljust(wide) + "".join(str(found.shifts[v, w]).rjust(12) for w in VERDICTS) for v in VERDICTS]
    for name, kinds, answered in zip(found.names, found.kinds, found.answered, strict=True):
        named = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()) or "none"
        lines += ["", f"{name}: findings: {named}", *(f"{name}: {line}" for line in summary_lines(answered))]
    known = sum(truth is not None for truth in found.truths)
    lines += ["", f"against known truth ({known} steps; the rest nobody can know)"]
    lines += _calibrated(found.names, found.calibrations)
    if found.case_truths:
        lines += ["", f"on {len(found.case_truths)} of the run's calibration cases"]
        lines += _calibrated(found.names, found.case_calibrations)
    return lines


def _calibrated(names: Sequence[str], figures: Sequence[Calibration]) -> list[str]:
    return [f"  {name}: {', '.join(f.lines())}" for name, f in zip(names, figures, strict=True)]


def _place(one: Template, other: Template) -> str:
    """An id with what tells it from the other of the same id: dialect, else folder, else file, else "again"."""
    mine, theirs = Path(one.file).resolve(), Path(other.file).resolve()
    if one.dialect != other.dialect:
        return f"{one.id} ({one.dialect or 'general words'})"
    if mine.parent != theirs.parent:
        return f"{one.id} ({mine.parent.name if mine.parent.name != theirs.parent.name else mine.parent})"
    return f"{one.id} ({mine.name})" if mine != theirs else one.id
