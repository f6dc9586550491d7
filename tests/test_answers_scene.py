"""Reading a writer's scene graph: any usual form, no word changed, nothing made up but ids."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint.miniature.scenes import random_scene
from underpaint.schemas.scenes.scene import Relation, SceneGraph, SceneObject
from underpaint.stages.answers.reading import AnswerError
from underpaint.stages.answers.scene import read_scene

CAR: dict[str, Any] = {"id": "o0", "noun": "car", "attributes": {"colour": "red"}, "count": 1}
FISH: dict[str, Any] = {"id": "o1", "noun": "fish", "attributes": {}, "count": 2}
ABOVE = {"subject": "o0", "predicate": "above", "object": "o1"}
SCENE = {"objects": [CAR, FISH], "relations": [ABOVE], "background": "sand"}
RIGHT = SceneGraph(
    objects=(
        SceneObject(id="o0", noun="car", attributes={"colour": "red"}), SceneObject(id="o1", noun="fish", count=2),
    ),
    relations=(Relation(subject="o0", predicate="above", object="o1"),), background="sand",
)  # fmt: skip


@given(st.integers(0, 10**9))
def test_the_right_form_is_read_as_it_is(seed: int) -> None:
    scene = random_scene(random.Random(seed))
    read = read_scene(scene.model_dump_json())
    assert (read.value, read.bends) == (scene, ())


def with_car(**changed: Any) -> dict[str, Any]:
    return {**SCENE, "objects": [{**CAR, **changed}, FISH]}


@pytest.mark.parametrize(
    ("said", "bends"),
    [
        (SCENE, ()),
        ({"scene": SCENE}, ("wrapped",)),
        ({"nodes": SCENE["objects"], "edges": SCENE["relations"], "background": "sand"}, ("name of a field",)),
        ({**SCENE, "style": "oil"}, ("extra field",)),
        (with_car(count="one"), ("count as a word",)),
        (with_car(count="1"), ("count as a word",)),
        (with_car(count=None), ("null field",)),
        (with_car(attributes={"colour": "red", "size": None}), ("null field",)),
        (with_car(attributes=[{"kind": "colour", "value": "red"}]), ("attributes as a list",)),
        (with_car(attributes={}, colour="red"), ("attribute beside the attributes",)),
        (with_car(description="a red car"), ("extra field",)),
        ({**SCENE, "relations": [["o0", "above", "o1"]]}, ("relation as a list",)),
        ({**SCENE, "relations": [{**ABOVE, "subject": "car", "object": "the fish"}]}, ("object named by its noun",)),
        ({**SCENE, "relations": [{**ABOVE, "subject": "Red car"}]}, ("object named by its noun",)),
        ({**SCENE, "relations": [{"from": "o0", "type": "above", "to": "o1"}]}, ("name of a field",)),
        ({**SCENE, "relations": [ABOVE, ABOVE]}, ()),
    ],
)
def test_another_form_of_the_same_scene(said: dict[str, Any], bends: tuple[str, ...]) -> None:
    read = read_scene(f"{json.dumps(said)}")
    assert (read.value, read.bends) == (RIGHT, bends)


def test_ids_are_made_up_where_they_are_missing() -> None:
    objects = [{"noun": "car"}, {"id": "o0", "noun": "fish"}, "cup"]
    read = read_scene(json.dumps({"objects": objects, "relations": None, "background": "None"}))
    assert [(o.id, o.noun) for o in read.value.objects] == [("o1", "car"), ("o0", "fish"), ("o2", "cup")]
    assert read.bends == ("id made up", "null field", "object as a word") and read.value.background == ""
    numbers = {"objects": [{**CAR, "id": 0}, {**FISH, "id": 1}], "relations": [{**ABOVE, "subject": 0, "object": 1}]}
    assert read_scene(json.dumps(numbers)).value.relations[0].subject == "0"


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ({"color": "red"}, {"color": "red"}),  # a word for a kind is kept; the vocabulary decides
        (["small", "red"], {"detail": "small red"}), ("red", {"detail": "red"}),
        ({"colour": ["red", "white"]}, {"colour": "red and white"}),
        ({"wooden": True, "open": False}, {"detail": "wooden"}),
        ({"detail": "old", "wet": True}, {"detail": "old wet"}), ({"age": 3}, {"age": "3"}), (None, {}), ([], {}),
    ],
)  # fmt: skip
def test_attributes_keep_their_words(attributes: Any, found: dict[str, str]) -> None:
    read = read_scene(json.dumps({"objects": [{**CAR, "attributes": attributes}]}))
    assert read.value.objects[0].attributes == found


@pytest.mark.parametrize(
    ("said", "reason", "words"),
    [
        (with_car(count="some"), "field of another type", "objects.0.count: 'some' is no number"),
        (with_car(count=0), "field of another type", "objects.0.count"),
        (with_car(noun=None), "field missing", "objects.0.noun"),
        ({"objects": [CAR, CAR]}, "contradicts itself", "duplicate object ids"),
        (with_car(attributes={"colour": {"top": "red"}}), "field of another type", "objects.0.attributes.colour"),
        ({**SCENE, "relations": [{**ABOVE, "object": "cup"}]}, "unknown object", "names the unknown object 'cup'"),
        (
            {"objects": [CAR, {**CAR, "id": "o1"}], "relations": [{**ABOVE, "subject": "car"}]},
            "unknown object",
            "several",
        ),
        ({**SCENE, "relations": [{**ABOVE, "object": "o0"}]}, "contradicts itself", "to itself"),
        ({**SCENE, "relations": [{"subject": "o0", "object": "o1"}]}, "field missing", "relations.0.predicate"),
        ({**SCENE, "relations": "the car is above the fish"}, "field of another type", "is no list"),
        ({**SCENE, "background": ["sand", "sky"]}, "field of another type", "background"),
        (with_car(noun="<|im_end|>"), "tag or control token", "control token"),
        ({"relations": [ABOVE]}, "field missing", "objects"),
    ],
)
def test_a_scene_that_is_not_clear_is_refused(said: dict[str, Any], reason: str, words: str) -> None:
    with pytest.raises(AnswerError, match=words) as refused:
        read_scene(json.dumps(said))
    assert refused.value.reason == reason
