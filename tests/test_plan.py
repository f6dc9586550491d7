"""Plans grow towards their scene, and every detour ends in it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniature.world import render, vocabulary
from schemas.compare import Verdict, compare
from schemas.edit import Op, apply
from schemas.grammar import describe, read
from schemas.scene import PLACE, Relation, SceneGraph
from stages.compose import CATEGORIES, compose
from stages.plan import NoPlan, PlanParams, plan

WORDS = vocabulary()


@given(st.integers(0, 10**9), st.sampled_from(sorted(CATEGORIES)))
@settings(max_examples=300)
def test_steps_follow_from_one_another_and_end_in_the_scene(seed: int, category: str) -> None:
    rng = random.Random(seed)
    scene = compose(rng, category, WORDS, capacity=4)
    try:
        steps = plan(scene, rng, WORDS, PlanParams(detour_share=0.7))
    except NoPlan:
        return
    assert 1 <= len(steps) <= 5
    before = SceneGraph()
    for step in steps:
        assert step.before == before
        done = apply(before, step.edit)
        assert {o.label for o in done.objects} == {o.label for o in step.scene.objects}
        assert read(describe(step.scene, WORDS), WORDS).key() == step.scene.key()
        render(step.scene)
        before = step.scene
    assert before.without(PLACE).key() == scene.key()
    assert compare(before, scene).verdict is Verdict.SATISFIES


@given(st.integers(0, 10**9))
def test_without_detours_no_step_contradicts_a_later_one(seed: int) -> None:
    rng = random.Random(seed)
    scene = compose(rng, "composition", WORDS, capacity=4)
    try:
        steps = plan(scene, rng, WORDS, PlanParams(detour_share=0.0))
    except NoPlan:
        return
    for i, step in enumerate(steps):
        assert all(compare(step.scene, later.scene).verdict is not Verdict.CONTRADICTS for later in steps[i:])
        assert compare(step.scene, scene).verdict is not Verdict.CONTRADICTS


@pytest.mark.parametrize("kind", ["modify", "swap", "remove"])
def test_every_detour_occurs(kind: str) -> None:
    found = []
    for seed in range(60):
        rng = random.Random(seed)
        scene = compose(rng, "two_objects", WORDS, capacity=4)
        steps = plan(scene, rng, WORDS, PlanParams(detour_share=1.0, detours={kind: 1.0}))  # type: ignore[dict-item]
        found += [s.edit.op for s in steps if s.detour == kind]
    assert Op(kind) in found


def test_an_impossible_layout_is_said() -> None:
    scene = read("A red car, a blue car and a green car.", WORDS)
    chain = tuple(
        Relation(subject=f"o{i}", predicate="to the left of", object=f"o{i + 1}") for i in range(2)
    )  # three in a row of two cells
    with pytest.raises(NoPlan, match="no layout"):
        plan(scene.model_copy(update={"relations": chain}), random.Random(0), WORDS, PlanParams())
