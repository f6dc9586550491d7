"""Grades a speaker's answers against the answers that are right by construction."""

from __future__ import annotations

from underpaint.miniature.dialogues import Dialogue
from underpaint.miniature.world import NoRoom, cell_layout, vocabulary
from underpaint.schemas.markup import BLANK, DONE
from underpaint.schemas.scenes.compare import SceneFit, compare
from underpaint.schemas.scenes.critique import Critique, Verdict
from underpaint.schemas.scenes.grammar import read
from underpaint.schemas.scenes.inspection import seen_items
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.answers.critique_answer import parse_critique
from underpaint.stages.answers.reading import CritiqueError


def grade(cases: list[Dialogue], answers: list[str]) -> dict[str, list[float]]:
    """Outcomes (1 right, 0 wrong) by figure; the mean of a figure is a share."""
    found: dict[str, list[float]] = {}
    for case, answer in zip(cases, answers, strict=True):
        figures = _written(case, answer) if case.task == "write" else _judged(case, answer)
        for name, right in figures.items():
            found.setdefault(name, []).append(float(right))
    return found


def _judged(case: Dialogue, answer: str) -> dict[str, bool]:
    side, truth = case.task.removeprefix("critique_"), case.critique
    assert truth is not None
    try:
        got: Critique | None = parse_critique(answer)
    except CritiqueError:
        got = None
    right = got is not None and got.verdict is truth.verdict
    flagged = got is not None and got.verdict is Verdict.CONFLICT
    found = {
        f"{side}/parses": got is not None,
        f"{side}/verdict": right,
        f"{side}/verdict of {truth.verdict.value}": right,
        f"{side}/observed exact": got is not None and seen_items(got.observed) == seen_items(truth.observed),
        f"{side}/weighed exact": got is not None and got.observed == truth.observed,
        f"{side}/whole answer exact": got == truth,
    }
    step = "incomplete" if truth.verdict is Verdict.INCOMPLETE else "complete"
    what = f"fault caught: {case.fault}" if case.fault else f"false alarm, {step}"
    return found | {f"{side}/{what}": flagged}


def _written(case: Dialogue, answer: str) -> dict[str, bool]:
    finished = case.answer == DONE
    if answer.strip() == DONE:
        return {"write/consistent": finished} | ({"write/done when done": True} if finished else {})
    found = {"write/done when done": False} if finished else {}
    after = described(answer)
    found["write/reads"] = after is not None
    if after is None or finished or compare(after, case.prompt).fit is SceneFit.CONTRADICTS:
        return found | {"write/consistent": False}
    return found | {"write/consistent": _one_more(case, after)}


def _one_more(case: Dialogue, after: SceneGraph) -> bool:
    """Whether the step adds one node (the first may add none), keeps the others, and all fit into the cells."""
    so_far = case.context["so_far"]
    before = SceneGraph() if so_far == BLANK else read(so_far, vocabulary())
    try:
        cell_layout(after)
    except NoRoom:
        return False
    kept = {o.label for o in before.objects} <= {o.label for o in after.objects}
    grown = len(after.objects) - len(before.objects)
    return kept and (grown == 1 or (grown == 0 and so_far == BLANK))


def described(answer: str) -> SceneGraph | None:
    """The scene of an answer's description; None where it cannot be read."""
    text = answer.partition("<des>")[2].partition("</des>")[0]
    try:
        return read(text, vocabulary())
    except ValueError:  # from the grammar, or from pydantic where an object stands in a relation to itself
        return None
