"""Prompts as people and models write them: what the grammar reads, and what a long text drops or adds."""

from __future__ import annotations

import random

import pytest
import yaml
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from underpaint.miniature.scenes import random_scene
from underpaint.miniature.world import vocabulary
from underpaint.schemas.scenes.grammar import GrammarError, describe, read
from underpaint.schemas.scenes.mentions import disagreements, gather
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.scene import PLACE
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.planning.compose import CATEGORIES, TooFewWords, categorise, compose

WORDS = vocabulary()
COCO = Vocabulary.model_validate(yaml.safe_load((ROOT / "recipes" / "vocabularies" / "coco.yaml").read_text()))
seeds = st.integers(0, 10**9)


def test_coco_has_its_classes_colours_and_positions() -> None:
    assert len(COCO.nouns) == 80 and len(COCO.attributes["colour"]) == 10 and len(COCO.relations) == 4
    assert PLACE not in COCO.attributes


@pytest.mark.parametrize(
    ("prompt", "means"),
    [
        ("a photo of a bench", "A bench."),
        ("a photo of three buses", "Three buses."),
        ("a photo of two persons", "Two people."),
        ("a photo of an orange orange", "An orange orange."),
        ("a photo of a couch and a wine glass", "A couch and a wine glass."),
        ("a photo of a bird left of a couch", "A bird and a couch. The bird is to the left of the couch."),
        ("A dog on the right of a TV.", "A dog and a tv. The dog is to the right of the tv."),
        ("a photo of a purple tennis racket and a black sink", "A purple tennis racket and a black sink."),
        ("Picture of 2 sofas", "Two couches."),
        ("a cup that is above a white bed", "A cup and a white bed. The cup is above the white bed."),
    ],
)
def test_prompts_as_people_write_them(prompt: str, means: str) -> None:
    assert read_prompt(prompt, COCO).key() == read(means, COCO).key()


@pytest.mark.parametrize("prompt", ["a photo of democracy", "a dog chasing a cat", "a shiny car", "dogs", ""])
def test_what_the_grammar_cannot_read_it_says(prompt: str) -> None:
    with pytest.raises(GrammarError):
        read_prompt(prompt, COCO)


@given(seeds)
def test_a_text_agrees_with_its_own_graph(seed: int) -> None:
    scene = random_scene(random.Random(seed))
    text = "At first light. " + describe(scene, WORDS) + " Nothing else is there, and the air is still."
    assert disagreements(text, scene, WORDS) == []
    assert gather(text, WORDS).key() == scene.key()


@given(seeds, st.sampled_from(["colour", "noun", "background", "count"]))
def test_a_text_about_another_scene_is_told_apart(seed: int, change: str) -> None:
    rng = random.Random(seed)
    scene = random_scene(rng)
    node = rng.choice(scene.objects)
    if change == "background":
        other = scene.model_copy(
            update={"background": rng.choice([b for b in WORDS.backgrounds if b != scene.background])}
        )
    elif change == "colour":
        free = [c for c in WORDS.attributes["colour"] if all(c != o.attributes["colour"] for o in scene.objects)]
        other = scene.replace_node(node.with_attribute("colour", rng.choice(free)))
    elif change == "noun":
        free = [n for n in WORDS.nouns if all(n != o.noun for o in scene.objects)]
        other = scene.replace_node(node.model_copy(update={"noun": rng.choice(free)}))
    else:
        other = scene.replace_node(node.model_copy(update={"count": node.count + 1}))
    found = disagreements(describe(other, WORDS), scene, WORDS)
    assert any(f.startswith("drops") for f in found) and any(f.startswith("adds") for f in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A shiny little red car waits above the blue house, and the blue house is old.", []),
        ("The house, a blue house, lies below a red car.", []),
        ("A red car waits by a blue house.", ["drops car above house"]),
        ("A red car above a house.", ["drops blue house"]),
        ("A blue car above a red house.", ["drops red car"]),
        ("A red car above a blue house, under a yellow star.", ["adds one yellow star"]),
        ("A red car above a blue house. The blue house is above the red car.", ["adds blue house above red car"]),
        ("A red car at the top left above a blue house.", ["adds car at the top left"]),
        ("A red car above a blue house on a sand background.", ["adds a sand background"]),
    ],
)  # fmt: skip
def test_what_a_long_text_drops_or_adds(text: str, said: list[str]) -> None:
    scene = read("A red car and a blue house. The red car is above the blue house.", WORDS)
    found = disagreements(text, scene, WORDS)
    assert bool(found) == bool(said) and set(said) <= set(found)


def test_words_beyond_the_vocabulary_are_looked_for_too() -> None:
    scene = read_prompt("a dog and a cat", COCO)
    alpaca = scene.replace_node(scene.objects[0].model_copy(update={"noun": "alpaca"}))
    assert disagreements("An alpaca looks at a cat.", alpaca, COCO) == []
    assert disagreements("A cat.", alpaca, COCO) == ["drops alpaca"]


@given(seeds, st.sampled_from(sorted(CATEGORIES)))
def test_composed_prompts_are_of_their_category_and_read_back(seed: int, category: str) -> None:
    scene = compose(random.Random(seed), category, COCO, capacity=6, attributes="asked")
    assert categorise(scene) == category
    assert read_prompt(describe(scene, COCO), COCO).key() == scene.key()
    assert all(not o.attributes for o in scene.objects if o.noun == "person")
    assert sum(o.count for o in scene.objects) <= 6


def test_a_vocabulary_too_small_for_a_category_is_said() -> None:
    words = Vocabulary(nouns={"cat": "cats"}, attributes={"colour": ("red",)})
    with pytest.raises(TooFewWords, match="too few nouns or attributes for the category 'two_objects'"):
        compose(random.Random(0), "two_objects", words, capacity=4)
