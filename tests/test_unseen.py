"""What no picture shows is found in long texts, and so is how things stand to each other in no graph."""

from __future__ import annotations

import pytest

from underpaint.schemas.scenes.scene import Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.prompting.fidelity import ADDS, UNSEEN, Departure, hold
from underpaint.stages.prompting.unseen import unseen

WORDS = Vocabulary(nouns=["dog", "bench"], attributes={})
DOG, BENCH = SceneObject(id="a", noun="dog"), SceneObject(id="b", noun="bench")
APART = SceneGraph(objects=(DOG, BENCH))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The bench is a testament to the beauty of art.", ["a testament"]),
        ("The dogs are a family of small animals.", ["a family"]),
        ("A dog and a bench. They are a couple.", ["a couple"]),
        ("A dog and a bench tell a story of love.", ["a story"]),
        ("A dog, like a story of love, in a deep shade of brown.", []),
        ("The dog is a deep shade of brown. The bench is a blend of grey and blue.", []),
        ("There is a quiet weight to the dog.", []),
        ("The mood is a memory of calm evenings.", []),
    ],
)
def test_what_no_picture_shows(text: str, found: list[str]) -> None:
    assert unseen(text, "dog bench") == found


def test_a_story_that_the_prompt_asks_for_is_its_own() -> None:
    assert unseen("A dog reads a story.", "a dog with a story") == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("A dog sits on a bench, in soft light.", ADDS),
        ("A dog behind a bench.", ADDS),
        ("A dog and a bench. The bench is a symbol, and a reminder of peace.", UNSEEN),
    ],
)
def test_long_prompts_that_depart(text: str, kind: str) -> None:
    with pytest.raises(Departure) as refused:
        hold(text, APART, WORDS, "")
    assert refused.value.reason == kind


def test_what_the_graph_has_may_be_said() -> None:
    text, on = "A dog is on a bench, in soft light.", Relation(subject="a", predicate="on", object="b")
    assert hold(text, APART.model_copy(update={"relations": (on,)}), WORDS, "") == text
    assert hold("A dog beside a bench, in soft light.", APART, WORDS, "")
