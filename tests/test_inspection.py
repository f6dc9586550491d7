"""The truth that judges are measured by: on scenes with planted faults it must name the fault and mend it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint.miniature.edits import other_object
from underpaint.miniature.scenes import random_scene
from underpaint.miniature.world import read_picture, render, vocabulary
from underpaint.schemas.scenes.critique import Critique, Verdict
from underpaint.schemas.scenes.edit import Edit, Op, apply, read_instruction
from underpaint.schemas.scenes.grammar import read
from underpaint.schemas.scenes.inspection import DEAD_END, inspect_picture, inspect_text, observed_scene
from underpaint.schemas.scenes.inspection.text_correction import correct_text
from underpaint.schemas.scenes.scene import PLACE, SceneGraph
from underpaint.stages.answers.critique_answer import parse_critique
from underpaint.stages.judgement.step_consistency import disagreement, takes_away

WORDS = vocabulary()
TWO = "A red car and a blue cup."
ROW = "A car, a cup and a fish. The cup is to the right of the car. The fish is above the cup."
seeds = st.integers(0, 10**9)


@given(seeds)
def test_a_right_picture_agrees_and_a_wrong_one_is_mended_by_its_correction(seed: int) -> None:
    rng = random.Random(seed)
    scene = random_scene(rng, counts=rng.choice([(1,), (1, 1), (1, 1, 1), (2, 1)]))
    seen, background = read_picture(render(scene))
    assert inspect_picture(seen, background, scene, WORDS).verdict is Verdict.CONSISTENT
    node = rng.choice(scene.objects)
    flawed = scene.replace_node(other_object(rng, node, scene, keep_noun=rng.random() < 0.5))
    seen, background = read_picture(render(flawed))
    critique = inspect_picture(seen, background, scene, WORDS)
    assert critique.verdict is Verdict.CONFLICT
    before = observed_scene(seen, background)
    mended = apply(before, read_instruction(critique.correction, before, WORDS))
    seen, background = read_picture(render(mended))
    assert inspect_picture(seen, background, scene, WORDS).verdict is Verdict.CONSISTENT, critique


@given(seeds)
def test_a_partial_step_is_incomplete_and_a_wrong_one_is_corrected(seed: int) -> None:
    rng = random.Random(seed)
    scene = random_scene(rng, counts=rng.choice([(1, 1), (1, 1, 1), (2, 1)]))
    prompt, nodes = scene.without(PLACE), scene.objects
    first = Edit(op=Op.PAINT, scene=scene.restrict([nodes[0].id]))
    step = inspect_text(prompt, SceneGraph(), first, apply(SceneGraph(), first), WORDS)
    assert step.verdict is Verdict.INCOMPLETE
    assert not step.findings
    before = scene.restrict(o.id for o in nodes[:-1])
    wrong = Edit(op=Op.ADD, node=other_object(rng, nodes[-1], scene, keep_noun=rng.random() < 0.5))
    critique = inspect_text(prompt, before, wrong, apply(before, wrong), WORDS)
    assert critique.verdict is Verdict.CONFLICT
    right = apply(before, read_instruction(critique.correction, before, WORDS))
    again = inspect_text(prompt, before, Edit(op=Op.PAINT, scene=right), right, WORDS)
    assert again.verdict is not Verdict.CONFLICT, critique


@given(seeds)
def test_critiques_survive_json(seed: int) -> None:
    rng = random.Random(seed)
    scene, other = random_scene(rng), random_scene(rng)
    seen, background = read_picture(render(other))
    critique = inspect_picture(seen, background, scene, WORDS)
    assert parse_critique(critique.to_json()) == critique
    assert Critique.model_validate_json(critique.to_json()) == critique


def test_the_odd_one_of_several_gets_their_look() -> None:
    wanted = read("Two purple boats at the top on a meadow background.", WORDS)
    flawed = read("A blue boat at the top left and a purple boat at the top right on a meadow background.", WORDS)
    critique = inspect_picture(list(flawed.objects), flawed.background, wanted, WORDS)
    assert critique.correction == "Make the blue boat purple."


def test_a_correction_puts_nothing_where_several_stand() -> None:
    prompt = read(
        "Two purple flowers, a green tree and a blue tree on a meadow background."
        " The blue tree is to the left of the green tree.", WORDS,
    )  # fmt: skip
    before = read("Two purple flowers on the right and a blue tree at the top left on a meadow background.", WORDS)
    step = read_instruction("Add a green tree at the bottom left, to the left of the blue tree.", before, WORDS)
    critique = inspect_text(prompt, before, step, apply(before, step), WORDS)
    assert critique.verdict is Verdict.CONFLICT
    assert critique.correction == DEAD_END  # the right is full, and so is what one move could free
    roomy = read("Two purple flowers at the top and a blue tree at the bottom right on a meadow background.", WORDS)
    step = read_instruction("Add a green tree at the bottom left.", roomy, WORDS)
    found = inspect_text(prompt, roomy, step, apply(roomy, step), WORDS)
    assert found.correction == "Move the blue tree to the bottom left."


def test_what_is_there_too_often_becomes_what_is_missing() -> None:
    """Three yellow fish, one of which should be orange: it is recoloured where it stands, not removed."""
    wanted = read(
        "A yellow fish at the bottom left and an orange fish at the bottom right on a sand background.", WORDS
    )
    flawed = read("A yellow fish at the bottom right and a yellow fish at the bottom left.", WORDS)
    critique = inspect_picture(list(flawed.objects), flawed.background, wanted, WORDS)
    assert critique.correction == "Make the yellow fish at the bottom right orange."
    flawed = read("A green boat at the bottom right and a green boat at the top left on a sand background.", WORDS)
    wanted = read("A blue cup at the bottom right and a green boat at the top left on a sand background.", WORDS)
    critique = inspect_picture(list(flawed.objects), flawed.background, wanted, WORDS)
    assert critique.correction == "Replace the green boat at the bottom right with a blue cup."


@pytest.mark.parametrize(
    ("prompt", "so_far", "instruction", "correction"),
    [
        (TWO, "", "Paint a red car at the top left and a green fish at the top right.",
         "Paint a red car at the top left and a blue cup at the top right."),
        (TWO, "", "Paint a red car at the top left and a red car at the top right.",
         "Paint a red car at the top left and a blue cup at the top right."),
        (TWO, "A red car at the top left.", "Make the red car green.", "Add a blue cup at the top right."),
        (TWO, "A green fish at the top right.", "Replace the green fish with a yellow cup.",
         "Replace the green fish with a blue cup."),
        (TWO, "A red car at the top left.", "Move the red car to the bottom right.",
         "Add a blue cup at the bottom right."),
        (ROW, "A car at the top left.", "Add a cup at the top right.", "Add a cup at the bottom right."),
    ],
)  # fmt: skip
def test_a_texts_correction_leads_on(prompt: str, so_far: str, instruction: str, correction: str) -> None:
    wanted, before = read(prompt, WORDS), read(so_far, WORDS) if so_far else SceneGraph()
    assert correct_text(wanted, before, read_instruction(instruction, before, WORDS), WORDS) == correction


def test_a_step_without_a_detail_is_incomplete() -> None:
    prompt = read("A red car on a sand background.", WORDS)
    for said, left in (
        ("Paint a red car.", "the sand background is"),
        ("Paint a car on a sand background.", "the colour"),
    ):
        edit = read_instruction(said, SceneGraph(), WORDS)
        assert edit.scene is not None
        critique = inspect_text(prompt, SceneGraph(), edit, edit.scene, WORDS)
        assert critique.verdict is Verdict.INCOMPLETE and left in critique.analysis


@pytest.mark.parametrize(
    ("so_far", "instruction", "description", "why"),
    [
        ("A red car at the top left.", "Add a blue cup at the top right.", "A blue cup at the top right.", "disagree"),
        ("A red car at the top left.", "Add a blue cup at the top right.",
         "A red car at the top left and a blue cup at the bottom right.", "disagree"),
        ("a blank canvas", "Paint a red car at the top left and a blue cup at the top right.",
         "A red car at the top left and a blue cup at the top right. The red car is below the blue cup.",
         "contradicts"),
        ("A red car at the top left.", "Add a red car at the top right.", "Two red cars at the top.", ""),
        ("A red car at the top left.", "Add a blue cup, below the red car.",
         "A red car at the top left and a blue cup at the bottom left.", ""),
    ],
)  # fmt: skip
def test_two_texts_that_disagree_are_noticed(so_far: str, instruction: str, description: str, why: str) -> None:
    found = disagreement(so_far, instruction, description, WORDS)
    assert why in found and bool(why) == bool(found)


def test_taking_away_what_is_wanted_is_noticed() -> None:
    prompt, there = read(TWO, WORDS), "A red car at the top left and a green fish at the top right."
    assert takes_away(there, "Remove the red car.", prompt, WORDS)
    assert not takes_away(there, "Remove the green fish.", prompt, WORDS)
