"""Plans grow towards their scene, and every detour ends in it."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from typing import Any

import pytest
import yaml
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from underpaint.miniature.world import render, vocabulary
from underpaint.schemas.scenes.compare import SceneFit, compare
from underpaint.schemas.scenes.edit import Op, apply, read_instruction
from underpaint.schemas.scenes.grammar import describe, read
from underpaint.schemas.scenes.scene import PLACE, Relation, SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.plan import Made, NoPlan, PlanParams, plan, words_of
from underpaint.stages.planning.compose import CATEGORIES, compose
from underpaint.stages.planning.detour import PlannedStep
from underpaint.stages.prompts import SHARES

WORDS = vocabulary()
COCO = Vocabulary.model_validate(yaml.safe_load((ROOT / "recipes" / "vocabularies" / "coco.yaml").read_text()))


def planned(
    seed: int,
    category: str,
    words: Vocabulary = WORDS,
    attributes: str = "always",
    made: Made | None = None,
    **more: Any,
) -> tuple[SceneGraph, list[PlannedStep]]:
    """A scene that has a plan, and the plan."""
    rng = random.Random(seed)
    while True:
        scene = compose(rng, category, words, capacity=4, attributes=attributes)
        with contextlib.suppress(NoPlan):
            return scene, plan(scene, rng, words, PlanParams(**more), made)


seeds, categories = st.integers(0, 10**9), st.sampled_from(sorted(CATEGORIES))


@given(seeds, categories)
@settings(max_examples=200)
def test_steps_follow_from_one_another_and_end_in_the_scene(seed: int, category: str) -> None:
    scene, steps = planned(seed, category, detour_share=0.7)
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
    assert compare(before, scene).fit is SceneFit.SATISFIES


@given(seeds, categories, st.sampled_from(["modify", "swap", "remove"]))
@settings(max_examples=200)
def test_where_nothing_is_placed_the_instructions_alone_lead_to_the_scene(seed: int, category: str, kind: str) -> None:
    scene, steps = planned(seed, category, COCO, "asked", detour_share=0.8, detours={kind: 1.0})
    before, rng = SceneGraph(), random.Random(seed)
    for step in steps:
        words = words_of(step, rng, COCO, reworded=0.7)
        before = apply(before, read_instruction(words, before, COCO))
        assert before.key() == step.scene.key(), words
    assert before.key() == scene.key()


@given(seeds, categories)
@settings(max_examples=100)
def test_instructions_are_of_the_forms_that_the_miniature_painter_learnt(seed: int, category: str) -> None:
    _, steps = planned(seed, category, detour_share=0.7)
    assert steps[0].edit.op is Op.PAINT and all(s.edit.op is not Op.PAINT for s in steps[1:])
    for step in steps:
        assert all("colour" in o.attributes for o in step.scene.objects)
        own = words_of(step, random.Random(0), WORDS, reworded=0.0)
        assert own.count(". ") == 0 and own.startswith(("Paint ", "Add ", "Make ", "Replace ", "Remove "))


@given(seeds)
@settings(max_examples=100)
def test_a_painter_begins_with_what_is_large(seed: int) -> None:
    _, steps = planned(seed, "two_objects", COCO, "asked", detour_share=0.0)
    first, second = steps[-1].scene.objects
    assert COCO.sizes.get(first.noun, 1) >= COCO.sizes.get(second.noun, 1)


@given(seeds, st.sampled_from(["position", "composition"]))
@settings(max_examples=100)
def test_a_relation_is_told_when_its_second_end_joins(seed: int, category: str) -> None:
    _, steps = planned(seed, category, COCO, "asked", detour_share=0.0)
    told = [r.canonical() for s in steps for r in s.edit.relations]
    assert sorted(told, key=str) == sorted((r.canonical() for r in steps[-1].scene.relations), key=str)
    for step in steps:
        there = {o.id for o in step.before.objects}
        assert all(r.subject not in there and r.object in there for r in step.edit.relations)


def test_a_rider_comes_after_the_horse() -> None:
    words = COCO.model_copy(update={"relations": (*COCO.relations, "riding")})
    for seed in range(20):
        scene = read("A person and a horse. The person is riding the horse.", words)
        small = scene.replace_node(scene.objects[1].with_attribute("size", "tiny"))  # though it would come last
        steps = plan(small, random.Random(seed), words, PlanParams(background_first=0))
        assert [o.noun for o in steps[-1].scene.objects] == ["horse", "person"]
        assert {s.edit.relations[0].predicate for s in steps if s.edit.relations} == {"riding"}


def test_relations_that_no_instruction_can_tell_are_refused() -> None:
    scene = read(
        "A dog, a cat and a cow. The dog is above the cat. The cat is above the cow. The dog is above the cow.", COCO
    )
    with pytest.raises(NoPlan, match="two relations at once"):
        plan(scene, random.Random(0), COCO, PlanParams())


def test_the_number_of_pictures_follows_the_recipe() -> None:
    for number in (1, 2, 3, 4, 5):
        made = [planned(s, "composition", pictures={number: 1.0}, detour_share=0.5)[1] for s in range(10)]
        assert {len(steps) for steps in made} == {number}
    with pytest.raises(NoPlan, match=r"stages\.plan\.pictures"):
        plan(read("A dog.", COCO), random.Random(0), COCO, PlanParams(pictures={5: 1.0}))


def test_a_lot_keeps_the_shares_of_the_recipe_and_the_papers_average() -> None:
    """3.51 pictures a sample, over the default mix of prompts; about half of the plans take a detour, of each kind."""
    rng = random.Random(5)
    made: Made = Counter()
    for i, category in enumerate(rng.choices(list(SHARES), list(SHARES.values()), k=400)):
        planned(i, category, made=made)
    params = PlanParams()
    assert abs(sum(n * made[n] for n in params.pictures) / 400 - 3.51) < 0.15
    assert all(abs(made[n] / 400 - weight) < 0.03 for n, weight in params.pictures.items())
    assert 160 < sum(made[kind] for kind in params.detours) < 240
    assert min(made[kind] for kind in params.detours) > 0.75 * max(made[kind] for kind in params.detours)


def test_instructions_are_worded_in_several_ways() -> None:
    step = planned(0, "single_object", pictures={1: 1.0}, detour_share=0.0)[1][0]
    worded = {words_of(step, random.Random(i), WORDS, 0.7).split()[0] for i in range(40)}
    assert worded == {"Paint", "Draw", "Start"}


@given(st.integers(0, 10**9))
def test_without_detours_no_step_contradicts_a_later_one(seed: int) -> None:
    scene, steps = planned(seed, "composition", detour_share=0.0)
    for i, step in enumerate(steps):
        assert all(compare(step.scene, later.scene).fit is not SceneFit.CONTRADICTS for later in steps[i:])
        assert compare(step.scene, scene).fit is not SceneFit.CONTRADICTS


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
