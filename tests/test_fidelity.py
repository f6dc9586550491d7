"""Texts are held to their scene graphs: prompts, descriptions, instructions, whole plans, what was understood."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint.miniature.scenes import random_scene
from underpaint.miniature.world import vocabulary
from underpaint.schemas.scenes.edit import Edit, Op, apply, instruct, read_instruction
from underpaint.schemas.scenes.grammar import read
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.answers.answer import AnswerError
from underpaint.stages.answers.steps import WrittenStep, read_steps
from underpaint.stages.common.roles import Answer
from underpaint.stages.plan import NoPlan, PlanParams, plan
from underpaint.stages.prompting.fidelity import ADDS, CONTRADICTS, DROPS, FOREIGN, Departure, hold, hold_instruction
from underpaint.stages.prompting.plan_writing import NO_PLAN, Wanted, check_plan
from underpaint.stages.prompting.rewording import LEAVES_OUT, GraphStep, allowed_words, hold_detail
from underpaint.stages.prompting.understanding import understanding, understood_in

WORDS = vocabulary()
PAIR = read("A red car and a cup.", WORDS)


def refused(call: Any, *given: Any, **more: Any) -> str:
    """The reason of the error that a call ends with."""
    with pytest.raises(AnswerError) as error:
        call(*given, **more)
    return error.value.reason


def test_a_text_is_refused_by_its_kind_of_departure() -> None:
    said = "Slowly, a red car and a cup, under a soft sky."
    assert hold(said, PAIR, WORDS, "") == said
    assert refused(hold, "Slowly, a red car.", PAIR, WORDS, "") == DROPS
    assert refused(hold, "Slowly, a red car and a cup, and a star.", PAIR, WORDS, "") == ADDS
    assert refused(hold, "Slowly, a blue car and a cup.", PAIR, WORDS, "") == CONTRADICTS
    lighthouse = "Slowly, a red car and a cup, beside a lighthouse."
    assert refused(hold, lighthouse, PAIR, WORDS, "") == FOREIGN
    assert hold(lighthouse, PAIR, WORDS, "a car and a cup near a lighthouse") == lighthouse


def test_an_indirect_text_need_not_name_what_is_meant_but_nothing_else() -> None:
    fish = read("A red fish.", WORDS)
    riddle = "In soft light, what a heron waits for, red from head to tail."
    assert hold(riddle, fish, WORDS, "what a heron waits for", indirect=True) == riddle
    assert refused(hold, f"{riddle} A boat is there.", fish, WORDS, "what a heron waits for", indirect=True) == ADDS


@given(st.integers(0, 10**9))
def test_the_grammars_own_instructions_pass_whatever_the_edit(seed: int) -> None:
    rng = random.Random(seed)
    try:
        steps = plan(random_scene(rng), rng, WORDS, PlanParams(detour_share=0.7))
    except NoPlan:
        return
    for step in steps:
        words = instruct(step.before, step.edit, WORDS)
        assert hold_instruction(words, step.before, step.edit, step.scene, WORDS) == words


def test_an_instruction_names_what_changes_and_nothing_that_is_not_there() -> None:
    before = read("A red car.", WORDS)
    edit = read_instruction("Add a blue cup, above the red car.", before, WORDS)
    after = apply(before, edit)

    def held(text: str) -> str:
        return hold_instruction(text, before, edit, after, WORDS)

    assert held("In soft light, add a blue cup with a thin rim, above the red car.")
    assert refused(held, "Add a cup, above the red car.") == DROPS
    assert refused(held, "Add a blue cup.") == DROPS
    assert refused(held, "Add a blue cup, below the red car.") == CONTRADICTS
    assert refused(held, "Add a blue cup, above the red car, and a green star.") == ADDS


def test_a_change_must_be_named() -> None:
    before = read("A green car.", WORDS)
    edit = read_instruction("Make the green car red.", before, WORDS)
    after = apply(before, edit)
    assert hold_instruction("Let the car turn red, as in evening light.", before, edit, after, WORDS)
    assert refused(hold_instruction, "Let the car glow.", before, edit, after, WORDS) == DROPS
    swap = read_instruction("Replace the green car with a blue fish.", before, WORDS)
    swapped = apply(before, swap)
    assert hold_instruction("Where the green car was, a blue fish.", before, swap, swapped, WORDS)
    assert refused(hold_instruction, "A blue fish.", before, swap, swapped, WORDS) == DROPS


def steps_of(*texts: tuple[str, str]) -> tuple[WrittenStep, ...]:
    return tuple(WrittenStep(*pair) for pair in texts)


def test_a_plan_of_the_writers_is_checked_step_by_step() -> None:
    wanted = Wanted(
        "At dusk, a red car above a blue cup.",
        read("A red car and a blue cup. The red car is above the blue cup.", WORDS),
    )
    good = steps_of(
        ("Paint a blue cup at dusk.", "At dusk, a blue cup."),
        ("Add a red car above the blue cup.", "At dusk, a red car is above the blue cup."),
    )
    made = check_plan(good, wanted, WORDS)
    assert [s.edit.op for s in made] == [Op.PAINT, Op.ADD]
    assert [[o.noun for o in s.scene.objects] for s in made] == [["cup"], ["car", "cup"]]
    early = (WrittenStep("Paint a blue cup.", "A blue cup, and soon a red car."), good[1])
    for steps, reason in [
        (good[:1], NO_PLAN),  # it ends too early
        ((*good, good[1]), NO_PLAN),  # a step that adds nothing
        ((good[1], good[0]), NO_PLAN),  # the car is gone
        (early, NO_PLAN),  # what comes later is there at once
        ((good[0], WrittenStep("Add a red car.", "At dusk, a red car and a blue cup.")), DROPS),
        ((good[0], WrittenStep("Add a star.", good[1].description)), CONTRADICTS),
        ((WrittenStep("Paint a blue cup beside a lighthouse.", "A blue cup."), good[1]), FOREIGN),
    ]:
        assert refused(check_plan, steps, wanted, WORDS) == reason


def test_a_description_may_not_speak_of_what_comes_later() -> None:
    whole = read("A blue cup and a red car.", WORDS)
    cup = whole.restrict(["o0"])
    paint, add = Edit(op=Op.PAINT, scene=cup), Edit(op=Op.ADD, node=whole.objects[1])
    steps = [GraphStep(paint, SceneGraph(), cup, "", ""), GraphStep(add, cup, whole, "", "")]
    prompt = "a blue cup and red cars in oil"
    assert "cars" not in allowed_words(prompt, 1, steps).split() and "oil" in allowed_words(prompt, 1, steps).split()
    assert "cars" in allowed_words(prompt, 2, steps).split()


def test_the_last_description_holds_what_the_long_prompt_says() -> None:
    prompt = "A red car in misty watercolour, calm and silvery."  # misty, watercolour, calm, silvery
    assert hold_detail("A car, misty and calm.", prompt, 0.5)
    assert refused(hold_detail, "A car, calm.", prompt, 0.51) == LEAVES_OUT


@pytest.mark.parametrize(
    "form", ['{{"steps": {}}}', "{}", "Here is the plan:\n```json\n{}\n```", '<think>Hm.</think>{{"plan": {}}}']
)
def test_steps_are_read_in_the_forms_that_models_give(form: str) -> None:
    steps = [{"instruction": "Paint a cup.", "description": "A cup."}]
    assert read_steps(form.format(json.dumps(steps))).value == steps_of(("Paint a cup.", "A cup."))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I'm sorry, I can't help with that.", "refusal"),
        ('{"steps": []}', "number of steps"),
        ('{"steps": [{"instruction": "Paint a cup."}]}', "field missing"),
        ('{"steps": [{"instruction": "Paint a <ins>cup</ins>.", "description": "A cup."}]}', "tag or control token"),
        ('{"steps": [{"instruction": "Paint a cup.", "descr', "cut at the limit"),
    ],
)
def test_steps_that_cannot_be_used(answer: str, reason: str) -> None:
    assert refused(read_steps, answer) == reason
    assert refused(read_steps, Answer('{"steps": []}', cut=True)) == "cut at the limit"


def test_what_was_understood_is_a_sentence_of_the_graph() -> None:
    fish = read("A red fish.", WORDS)
    assert understanding(fish, WORDS) == "The prompt asks for a red fish."

    def said(sentence: str) -> str:
        return understood_in(json.dumps({"objects": [], "understood": sentence}), fish, WORDS)

    assert said("A heron waits for a red fish.") == "A heron waits for a red fish."
    assert said("") == ""
    assert refused(said, "A heron waits for a boat.") == "understood otherwise"
    assert refused(said, "A heron waits.") == "understood otherwise"
    assert refused(said, "I'm sorry, I can't help with that.") == "refusal"


def test_the_message_says_where_a_text_departs() -> None:
    with pytest.raises(Departure, match=r"the long prompt adds what the scene has not: it adds one star"):
        hold("Slowly, a red car and a cup, and a star.", PAIR, WORDS, "")
