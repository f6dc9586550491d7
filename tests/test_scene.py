"""Properties of scene graphs: text round trips, a subgraph never contradicts, a single edit always tells."""

from __future__ import annotations

import random
from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from underpaint.miniature.edits import other_object, random_edit
from underpaint.miniature.scenes import random_scene
from underpaint.miniature.world import vocabulary
from underpaint.schemas.scenes.compare import FaultKind, SceneFit, _assign, compare, match
from underpaint.schemas.scenes.edit import apply, instruct, read_instruction
from underpaint.schemas.scenes.grammar import GrammarError, describe, read
from underpaint.schemas.scenes.scene import PLACE, Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.wordings import own_wording

WORDS = vocabulary()
scenes = st.builds(lambda seed: random_scene(random.Random(seed)), st.integers(0, 10**9))
seeds = st.integers(0, 10**9)


@given(scenes)
def test_text_round_trip(scene: SceneGraph) -> None:
    assert read(describe(scene, WORDS), WORDS).key() == scene.key()


@given(scenes, seeds)
def test_key_depends_on_neither_ids_nor_order(scene: SceneGraph, seed: int) -> None:
    rng = random.Random(seed)
    names = {o.id: f"n{rng.random()}" for o in scene.objects}
    objects = [o.model_copy(update={"id": names[o.id]}) for o in scene.objects]
    relations = [
        Relation(subject=names[r.subject], predicate=r.predicate, object=names[r.object]) for r in scene.relations
    ]
    rng.shuffle(objects)
    rng.shuffle(relations)
    shuffled = SceneGraph(objects=tuple(objects), relations=tuple(relations), background=scene.background)
    assert shuffled.key() == scene.key()


@given(scenes)
def test_a_relation_and_its_inverse_are_one_scene(scene: SceneGraph) -> None:
    turned = {
        "to the left of": "to the right of",
        "to the right of": "to the left of",
        "above": "below",
        "below": "above",
    }
    relations = tuple(
        Relation(subject=r.object, predicate=turned[r.predicate], object=r.subject) for r in scene.relations
    )
    assert scene.model_copy(update={"relations": relations}).key() == scene.key()


@given(scenes)
def test_a_subgraph_never_contradicts_its_graph(scene: SceneGraph) -> None:
    for full in (scene, scene.without(PLACE)):
        for ids in (c for n in range(len(scene.objects) + 1) for c in combinations([o.id for o in scene.objects], n)):
            assert compare(scene.restrict(ids), full).fit is not SceneFit.CONTRADICTS
    assert compare(scene, scene).fit is SceneFit.SATISFIES


@given(scenes, seeds)
def test_a_single_edit_always_contradicts_or_is_missing(scene: SceneGraph, seed: int) -> None:
    rng = random.Random(seed)
    node = rng.choice(scene.objects)
    changed = other_object(rng, node, scene, keep_noun=rng.random() < 0.5)
    assert compare(scene.replace_node(changed), scene).fit is SceneFit.CONTRADICTS
    more = node.model_copy(update={"count": node.count + 1})
    assert {d.kind for d in compare(scene.replace_node(more), scene).faults} == {FaultKind.WRONG_COUNT}
    fewer = scene.restrict(o.id for o in scene.objects if o.id != node.id)
    found = compare(fewer, scene)
    assert found.fit is SceneFit.INCOMPLETE
    assert FaultKind.MISSING_OBJECT in {d.kind for d in found.differences}
    other = next(b for b in WORDS.backgrounds if b != scene.background)
    assert compare(scene.model_copy(update={"background": other}), scene).fit is SceneFit.CONTRADICTS


@given(scenes)
def test_a_turned_relation_contradicts(scene: SceneGraph) -> None:
    bare = scene.without(PLACE)
    for r in bare.relations:
        turned = Relation(subject=r.object, predicate=r.predicate, object=r.subject)
        wrong = bare.model_copy(update={"relations": (turned,)})
        assert FaultKind.WRONG_RELATION in {d.kind for d in compare(wrong, bare).differences}


@given(seeds)
@settings(max_examples=300)
def test_an_instruction_reads_back_as_its_edit(seed: int) -> None:
    rng = random.Random(seed)
    case = random_edit(rng)
    while case.kind in ("background", "relate"):  # corrections, which a painter understands and the grammar does not
        case = random_edit(rng)
    before = case.before or SceneGraph()
    after = apply(before, read_instruction(case.instruction, before, WORDS))
    bare = [g.model_copy(update={"relations": ()}).key() for g in (after, case.after)]
    assert bare[0] == bare[1], case.instruction
    if case.kind != "one":  # those name one of several equal objects by its place
        assert instruct(before, case.edit, WORDS) == own_wording(case.instruction)


costs = st.integers(1, 6).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=1, max_size=n)
)


@given(costs)
@settings(max_examples=300)
def test_an_assignment_is_the_first_of_the_best(costs: list[list[int]]) -> None:
    def total(columns: tuple[int, ...]) -> int:
        return sum(row[j] for row, j in zip(costs, columns, strict=True))

    assert _assign(costs) == list(min(permutations(range(len(costs[0])), len(costs)), key=total))


def test_many_nodes_of_one_noun_are_paired_at_once() -> None:
    """A writer that goes round in circles says "a red car" again and again; there are 12! ways to pair twelve."""
    said = read("A red car, " * 11 + "a blue car on a sand background.", WORDS)
    asked = read("A blue car" + ", a red car" * 11 + " on a sand background.", WORDS)
    assert [theirs and theirs.attributes["colour"] for _, theirs in match(said.objects, asked.objects)] == [
        *["red"] * 11, "blue",
    ]  # fmt: skip
    assert compare(said, asked).fit is SceneFit.SATISFIES
    once = read("A red car on a sand background.", WORDS)
    assert [d.kind for d in compare(said, once).differences] == [FaultKind.UNWANTED_OBJECT] * 11


def test_places_decide_relations() -> None:
    prompt = read("A red car and a blue house. The red car is to the left of the blue house.", WORDS)
    right = read("A red car at the top left and a blue house at the bottom right.", WORDS)
    wrong = read("A red car at the top right and a blue house at the bottom right.", WORDS)
    assert compare(right, prompt).fit is SceneFit.SATISFIES
    assert [d.kind for d in compare(wrong, prompt).faults] == [FaultKind.WRONG_RELATION]


def test_open_relations_survive_the_text() -> None:
    words = WORDS.model_copy(update={"relations": (*WORDS.relations, "riding on")})
    scene = read("A red fish and a blue boat. The red fish is riding on the blue boat.", words)
    assert scene.relations[0].predicate == "riding on"
    assert read(describe(scene, words), words).key() == scene.key()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("A red zebra on a white background.", "red zebra"),
        ("A shiny car.", "shiny"),
        ("Red car.", "red car"),
        ("A red car. The red car is beside the red car.", "beside"),
        ("A red car on a pink background.", "pink"),
        ("", "empty"),
    ],
)
def test_a_sentence_outside_the_grammar_is_named(text: str, named: str) -> None:
    with pytest.raises(GrammarError, match=named):
        read(text, WORDS)


def test_a_relation_to_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="unknown object 'b'"):
        SceneGraph(
            objects=(SceneObject(id="a", noun="car"),),
            relations=(Relation(subject="a", predicate="above", object="b"),),
        )
