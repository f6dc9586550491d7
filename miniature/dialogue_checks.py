"""Grades a speaker's answers against the answers that are right by construction."""

from __future__ import annotations

from typing import Any

import torch

from underpaint.miniature.dialogues import Dialogue
from underpaint.miniature.world import NoRoom, cell_layout, vocabulary
from underpaint.schemas.markup import BLANK, DONE
from underpaint.schemas.scenes.compare import SceneFit, compare
from underpaint.schemas.scenes.critique import Critique, CritiqueError, Verdict, parse_critique
from underpaint.schemas.scenes.grammar import read
from underpaint.schemas.scenes.inspection import seen_items
from underpaint.schemas.scenes.scene import SceneGraph


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
    if case.fault:
        found[f"{side}/fault caught: {case.fault}"] = flagged
    elif truth.verdict is Verdict.INCOMPLETE:
        found[f"{side}/false alarm, incomplete"] = flagged
    else:
        found[f"{side}/false alarm, complete"] = flagged
    return found


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


def check(model: Any, processor: Any, cases: list[Dialogue], size: int = 48, limit: int = 200) -> dict[str, float]:
    """Shares by figure, of the greedy answers of a model in training."""
    cases = sorted(cases, key=lambda c: c.picture is not None)
    answers: list[str] = []
    while len(answers) < len(cases):
        rest = cases[len(answers) : len(answers) + size]
        part = [c for c in rest if (c.picture is None) == (rest[0].picture is None)]
        texts = ["<user>" + ("<image>" if c.picture else "") + c.request + "<assistant>" for c in part]
        pictures = [c.picture for c in part] if part[0].picture else None
        batch = processor(text=texts, images=pictures, padding=True, add_special_tokens=False, return_tensors="pt")
        batch.pop("token_type_ids", None)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            out = model.generate(**batch, do_sample=False, max_new_tokens=limit)
        answers += processor.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    figures = {k: sum(v) / len(v) for k, v in sorted(grade(cases, answers).items())}
    return {k: v for k, v in figures.items() if "fault caught" not in k}
