"""Foreign things are found in long texts of any vocabulary, and good texts of their scene pass, by stated shares."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint.miniature.scenes import random_scene
from underpaint.miniature.world import vocabulary
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import PLACE
from underpaint.stages.models.storyteller import tell
from underpaint.stages.prompting.foreign_objects import foreign_objects

DRAWBENCH = Path(__file__).parents[2] / "shared" / "data" / "prompts" / "drawbench" / "drawbench_upsampled.txt"
LONG = Path(__file__).parent / "data" / "long_texts.jsonl"  # of this project's own writing
CAR = "A red car."


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ("A red car stands with his three daughters, beside a lighthouse.", ["his three daughters", "a lighthouse"]),
        ("A red car rests on a wooden table near a window.", ["a wooden table", "a window"]),
        ("A red car. Children play, and two dogs run.", ["children", "two dogs"]),
        ("A red car crosses a meadow surrounded by trees.", ["trees"]),
        ("A red car waits under an amber sky, its polished hood agleam, the windows dark.", []),
        ("A red car, bright as a jewel, without people or other cars, in thick oil paint.", []),
        ("The light washes over the red car and long shadows stretch across the ground.", []),
        ("A shallow depth of field and a ribbon of steam give the red car its mood.", []),
        ("A red car, as in a picture for children.", []),
    ],
)
def test_what_is_foreign_to_a_red_car(text: str, foreign: list[str]) -> None:
    assert foreign_objects(text, CAR) == foreign


def test_things_that_the_prompt_names_are_its_own() -> None:
    assert foreign_objects("A red car on a wooden table.", "a car on a table") == []
    assert foreign_objects("The rider leans forward on the horse.", "a person riding a horse") == []
    assert foreign_objects("The cart stands behind the horse.", "a horse-drawn cart") == []
    assert foreign_objects("The rider leans forward.", CAR) == ["the rider"]


@given(st.integers(0, 10**9))
def test_the_symbolic_writers_texts_bring_nothing_in(seed: int) -> None:
    rng = random.Random(seed)
    facts = describe(random_scene(rng).without(PLACE), vocabulary())
    assert foreign_objects(tell(facts, 150, rng, vocabulary()), facts) == []


def test_few_good_texts_are_refused() -> None:
    texts = [json.loads(line) for line in LONG.read_text(encoding="utf-8").splitlines()]
    refused = [t["facts"] for t in texts if foreign_objects(t["text"], t["facts"])]
    assert len(texts) == 38 and len(refused) <= 5, refused


@pytest.mark.skipif(not DRAWBENCH.exists(), reason="DrawBench's upsampled prompts are not beside the checkout")
def test_most_texts_that_bring_things_in_are_refused() -> None:
    pairs = [line.partition("..") for line in DRAWBENCH.read_text(encoding="utf-8").splitlines()]
    refused = [short for short, _, long in pairs if foreign_objects(long, short)]
    assert len(pairs) == 200 and len(refused) >= 145
