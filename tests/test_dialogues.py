"""The speaker's training data is right by construction: what it teaches must agree with `schemas`."""

from __future__ import annotations

import random

import pytest

from underpaint.miniature.dialogue_checks import described, grade
from underpaint.miniature.dialogues import (
    BLANK,
    DONE,
    MAKERS,
    PICTURE_FAULTS,
    TEXT_FAULTS,
    picture_dialogue,
    random_step,
    reworded,
    text_dialogue,
    write_dialogue,
)
from underpaint.miniature.trainers.reader import COLOUR_LABELS, NOUN_LABELS
from underpaint.miniature.trainers.speaker import item_ends
from underpaint.miniature.weighed_items import weighed_items
from underpaint.miniature.world import cell_labels, cell_layout, render, vocabulary
from underpaint.schemas.scenes.compare import SceneFit, compare
from underpaint.schemas.scenes.critique import Verdict
from underpaint.schemas.scenes.edit import read_instruction
from underpaint.schemas.scenes.grammar import read
from underpaint.schemas.scenes.inspection import AS_ASKED, NOT_SO, NOT_THERE, TO_COME
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.answers.critique_answer import parse_critique

N = 150


def test_writer_adds_one_true_node_a_step() -> None:
    rng = random.Random(1)
    for _ in range(N):
        d = write_dialogue(rng)
        if d.answer == DONE:
            so_far = read(d.context["so_far"], vocabulary())
            assert compare(so_far, d.prompt).fit is SceneFit.SATISFIES
            continue
        after = described(d.answer)
        assert after is not None and compare(after, d.prompt).fit is not SceneFit.CONTRADICTS
        cell_layout(after)  # raises NoRoom where the cells are not free
        instruction = d.answer.partition("<ins>")[2].partition("</ins>")[0]
        before = SceneGraph() if d.context["so_far"] == BLANK else read(d.context["so_far"], vocabulary())
        read_instruction(instruction, before, vocabulary())


def test_steps_leave_painted_objects_where_they_are() -> None:
    """Three objects without a place fill the first cells, so the fourth is sent to the last one."""
    rng = random.Random(2)
    for _ in range(N):
        step = random_step(rng)
        if step.before is not None:
            old, new = cell_labels(step.before), cell_labels(step.after)
            assert all(b == a for a, b in zip(old, new, strict=True) if a is not None)


@pytest.mark.parametrize("fault", ["", *TEXT_FAULTS])
def test_text_critiques_flag_exactly_the_planted(fault: str) -> None:
    rng = random.Random(3)
    for _ in range(25):
        d = text_dialogue(rng, fault)
        verdict = parse_critique(d.answer).verdict
        assert (verdict is Verdict.CONFLICT) == bool(fault)
        assert read(d.context["description"], vocabulary())


@pytest.mark.parametrize("fault", ["", *PICTURE_FAULTS])
def test_picture_critiques_flag_exactly_the_planted(fault: str) -> None:
    rng = random.Random(4)
    for _ in range(25):
        d = picture_dialogue(rng, fault)
        critique = parse_critique(d.answer)
        assert (critique.verdict is Verdict.CONFLICT) == bool(fault)
        assert d.picture is not None and d.picture.size == render(SceneGraph()).size
        seen = [o for o in critique.observed if not o.endswith((NOT_SO, NOT_THERE))]
        assert len(seen) == len(d.shown.objects) + bool(d.shown.background)
        assert any(item.wrong for item in weighed_items(d)) == bool(fault)


def test_marks_stand_where_an_item_is_about_to_be_weighed() -> None:
    rng = random.Random(9)
    for d in [make(rng) for make in (text_dialogue, picture_dialogue) for _ in range(25)]:
        assert d.critique is not None
        ends = item_ends(d)
        assert len(ends) == len(d.critique.observed)
        for (end, (wrong, noun, wanted, colour, asked, *_)), item in zip(ends, d.critique.observed, strict=True):
            assert d.answer[:end].endswith(item.rpartition(": ")[0])
            assert d.answer[end:].startswith((AS_ASKED, TO_COME)) != bool(wrong)
            if item.endswith(AS_ASKED) and noun >= 0:
                assert (
                    (noun, colour) == (wanted, asked)
                    and NOUN_LABELS[noun][:4] in item
                    and COLOUR_LABELS[colour] in item
                )


def test_verdicts_are_balanced() -> None:
    """A constant verdict must not pay, and most right steps are incomplete ones."""
    rng = random.Random(5)
    text = [text_dialogue(rng) for _ in range(400)]
    verdicts = [d.critique.verdict for d in text if d.critique]
    assert 0.4 < verdicts.count(Verdict.CONFLICT) / 400 < 0.6
    assert verdicts.count(Verdict.INCOMPLETE) > verdicts.count(Verdict.CONSISTENT)
    pictures = [picture_dialogue(rng).fault == "" for _ in range(400)]
    assert 0.35 < sum(pictures) / 400 < 0.55


def test_same_seed_same_dialogue() -> None:
    for make in MAKERS.values():
        a, b = make(random.Random(6)), make(random.Random(6))
        assert (a.request, a.answer) == (b.request, b.answer)


def test_rewording_touches_the_last_line_only() -> None:
    rng = random.Random(7)
    d = text_dialogue(rng)
    for _ in range(20):
        new = reworded(rng, d.request).split("\n")
        assert new[:-1] == d.request.split("\n")[:-1]


def test_right_answers_are_graded_right() -> None:
    rng = random.Random(8)
    cases = [make(rng) for make in MAKERS.values() for _ in range(30)]
    for name, outcomes in grade(cases, [c.answer for c in cases]).items():
        expected = 0.0 if "false alarm" in name else 1.0
        assert set(outcomes) == {expected}, name


def test_broken_answers_are_graded_wrong() -> None:
    rng = random.Random(9)
    cases = [make(rng) for make in MAKERS.values() for _ in range(10)]
    figures = grade(cases, ["no answer at all"] * len(cases))
    assert set(figures["text/parses"] + figures["picture/verdict"] + figures["write/consistent"]) == {0.0}
