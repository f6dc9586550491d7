"""What a free text names: compounds are not their parts, denials name nothing, lists are one thing."""

from __future__ import annotations

import pytest
import yaml
from conftest import ROOT

from underpaint.schemas.scenes.mentions import disagreements, find_mentions, gather, phrase_words
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.vocabulary import Vocabulary

COCO = Vocabulary.model_validate(yaml.safe_load((ROOT / "recipes" / "vocabularies" / "coco.yaml").read_text()))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("A bus stop in the rain.", []),
        ("Two dog houses.", []),
        ("A wine glass, a wine bottle, a dog puppet and a clock tower.", ["one wine glass", "one bottle"]),
        ("A train station near a bird cage.", []),
        ("An orange sunset.", []),
        ("Orange and blue flowers.", []),
        ("An orange and blue bird.", ["one bird"]),
        ("The sky is orange.", []),
        ("A street without cars, no dog, and not a cat.", []),
        ("A street without cars or people, free of dogs.", []),
        ("A room with no dog and a cat.", ["one cat"]),
        ("Two cars, one red and one blue.", ["one red car", "one blue car"]),
        ("Three cars, one red, two blue.", ["one red car", "two blue car"]),
        ("Two dogs, one is black and the other is white, sleep.", ["one black dog", "one white dog"]),
        ("Two cars, one red.", ["two car"]),
        ("A big, red, shiny car.", ["one red car"]),
        ("In a field, red cars wait.", ["red car"]),
        ("A black and white cat.", ["one cat"]),
        ("Twenty-one birds, 12 cats and some dogs.", ["twenty-one bird", "twelve cat", "some dog"]),
        ("A few dogs and at least five cats.", ["some dog", "five cat"]),
        ("A dog waits. The cat sleeps. Dogs bark.", ["one dog", "cat", "dog"]),
        ("A dog running, a cat dressed in wool, a car red as blood.", ["one dog", "one cat", "one car"]),
        ("Two sheep graze.", ["two sheep"]),
        ("An oil painting. Style: cartoon bear.", []),
    ],
)
def test_what_a_text_names(text: str, named: list[str]) -> None:
    assert [phrase_words(m) for m in find_mentions(text, COCO).objects] == named


def test_the_parts_of_other_names_are_kept_apart() -> None:
    said = find_mentions("A dog house beside a cat.", COCO)
    assert [m.noun for m in said.parts] == ["dog"] and [m.noun for m in said.objects] == ["cat"]


@pytest.mark.parametrize(
    ("text", "sure"),
    [
        ("A cat waits above a dog.", True),
        ("A cat, which sleeps, above a dog.", True),
        ("A cat, a tree, above a dog.", False),
        ("A cat near a tree is above a dog.", False),
        ("A cat above a tree and a dog.", False),
        ("A cat is above the two dogs.", True),
    ],
)
def test_a_relation_is_sure_where_no_other_end_stands_between(text: str, sure: bool) -> None:
    said = find_mentions(text, COCO)
    assert bool(said.relations) is sure and bool(said.loose) is not sure


def test_a_denied_relation_is_none() -> None:
    said = find_mentions("The cat is not above the dog.", COCO)
    assert not said.relations and not said.loose


def test_a_scene_of_all_that_is_named() -> None:
    scene = gather("At dusk some red cars wait. A cat, and no dog. Style: ink.", COCO)
    assert [(o.noun, o.count, o.at_least) for o in scene.objects] == [("car", 2, True), ("cat", 1, False)]
    assert scene.style == "ink"


def test_a_long_text_may_tell_of_other_things_by_their_names() -> None:
    scene = read_prompt("a dog and a cat", COCO)
    assert disagreements("A dog and a cat wait at a bus stop without cars, under an orange sunset.", scene, COCO) == []
    assert disagreements("A dog and a cat wait beside a bus.", scene, COCO) == ["adds one bus"]
