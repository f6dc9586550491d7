"""The 32 usual forms of a judge's answer: read rightly, or refused with the right reason."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from answer_forms import FORMS, Form
from hypothesis import given
from hypothesis import strategies as st

from underpaint.miniature.scenes import random_scene
from underpaint.miniature.world import vocabulary
from underpaint.schemas.scenes.critique import Critique, Finding, Verdict
from underpaint.schemas.scenes.inspection import inspect_picture
from underpaint.stages.answers.critique_answer import read_critique
from underpaint.stages.answers.reading import CritiqueError

WORDS = vocabulary()


@dataclass(frozen=True)
class Answer:
    text: str
    cut: bool = False
    refused: str = ""


def critique(verdict: Verdict, *findings: tuple[str, str], correction: str = "") -> Critique:
    found = tuple(Finding(kind=kind, detail=detail) for kind, detail in findings)
    return Critique(
        observed=("a blue car at the top left", "a sand background"), findings=found, verdict=verdict,
        analysis="It shows what is asked." if not found else "The car's blue.", correction=correction,
    )  # fmt: skip


CRITIQUES = [
    critique(Verdict.CONSISTENT),
    critique(Verdict.INCOMPLETE),
    critique(Verdict.CONFLICT, ("wrong_attribute", "the car is blue, not red"), correction="Make the car red."),
    critique(
        Verdict.CONFLICT, ("missing_object", "a cup is missing"), ("wrong_count", "there are two, not three fish"),
        correction="Add the dog's \"cup\" and one fish.",
    ),
]  # fmt: skip


def check(form: Form, right: Critique) -> bool:
    """Whether a form of a right critique is read rightly; refused ones must be so for the right reason."""
    answer = Answer(form.make(right.model_dump(mode="json")), cut=form.finish_reason == "length")
    try:
        read = read_critique(answer, yes=Verdict.CONSISTENT).value
    except CritiqueError as e:
        assert not form.readable, f"{form.name}: {e}"
        assert e.reason == form.reason
        return False
    assert form.readable, form.name
    assert read.verdict is right.verdict and read.correction == right.correction
    assert [f.kind for f in read.findings] == [f.kind for f in right.findings]
    return True


@pytest.mark.parametrize("right", CRITIQUES, ids=lambda c: str(c.verdict))
@pytest.mark.parametrize("form", FORMS, ids=lambda f: str(f.name))
def test_a_form(form: Form, right: Critique) -> None:
    check(form, right)


def test_at_least_28_of_32_are_read() -> None:
    assert len(FORMS) == 32
    assert all(sum(check(form, right) for form in FORMS) >= 28 for right in CRITIQUES)


@given(st.integers(0, 10**9))
def test_the_symbolic_judges_critiques_are_read_in_every_form(seed: int) -> None:
    """All kinds of fault, in the grammar's words: one scene is seen where another is described."""
    rng = random.Random(seed)
    shown, asked = random_scene(rng), random_scene(rng)
    one_by_one = [o.model_copy(update={"count": 1}) for o in shown.objects for _ in range(o.count)]
    right = inspect_picture(one_by_one, shown.background, asked, WORDS)
    for form in FORMS:
        check(form, right)


def test_the_first_forms_are_read_without_a_bend() -> None:
    for right in CRITIQUES:
        read = read_critique(FORMS[0].make(right.model_dump(mode="json")))
        assert read.value == right and read.bends == ()
