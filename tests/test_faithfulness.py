"""A writer's graph against its prompt: right ones pass, bent ones are refused with the clause that disagrees."""

from __future__ import annotations

import pytest
import yaml
from conftest import ROOT

from underpaint.miniature.world import vocabulary
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.prompting.faithfulness import departures
from underpaint.stages.prompting.parsing import SceneError, check_against, check_words, spelt

WORDS = vocabulary()
COCO = Vocabulary.model_validate(yaml.safe_load((ROOT / "recipes" / "vocabularies" / "coco.yaml").read_text()))


def scene(*objects: str, relations: tuple[str, ...] = (), background: str = "", style: str = "") -> SceneGraph:
    """A graph from words: "2 car colour=red", "+2 car" for two at least, and the relation "0 above 1"."""
    nodes = []
    for i, words in enumerate(objects):
        attributes = dict(w.split("=") for w in words.split(" ") if "=" in w)
        number, _, noun = " ".join(w for w in words.split(" ") if "=" not in w).partition(" ")
        attributes = {kind: value.replace("_", " ") for kind, value in attributes.items()}
        count = int(number.removeprefix("+"))
        nodes.append(
            {"id": f"o{i}", "noun": noun, "attributes": attributes, "count": count, "at_least": number[0] == "+"}
        )
    told = []
    for words in relations:
        subject, *predicate, object = words.split(" ")
        told.append({"subject": f"o{subject}", "predicate": " ".join(predicate), "object": f"o{object}"})
    return SceneGraph.model_validate(
        {"objects": nodes, "relations": told, "background": background, "style": style}
    )  # fmt: skip


RIGHT: list[tuple[str, SceneGraph]] = [
    ("A clock tower in a city.", scene("1 clock tower", "1 city", relations=("0 in 1",))),
    ("A dog puppet on a chair.", scene("1 dog puppet", "1 chair", relations=("0 on 1",))),
    ("A dog puppet on a chair.", scene("1 puppet", "1 chair", relations=("0 on 1",))),
    ("A cat without a dog.", scene("1 cat")),
    ("A street without cars or people, at night.", scene("1 street", style="at night")),
    ("Two cars, one red and one blue.", scene("1 car colour=red", "1 car colour=blue")),
    ("Two dogs, one black and the other white, near a bench.", scene(
        "1 dog colour=black", "1 dog colour=white", "1 bench", relations=("0 near 2", "1 near 2"))),
    ("A bus stop beside a dog house.", scene("1 bus stop", "1 dog house", relations=("0 beside 1",))),
    ("A wine bottle and a glass.", scene("1 wine bottle", "1 glass")),
    ("An orange sunset over the sea.", scene("1 sunset colour=orange", "1 sea", relations=("0 over 1",))),
    ("A big, red, shiny car.", scene("1 car size=big colour=red finish=shiny")),
    ("two dogs chasing each other in the park", scene(
        "2 dog action=chasing_each_other", "1 park", relations=("0 in 1",))),
    ("a dog chasing a cat", scene("1 dog", "1 cat", relations=("0 chasing 1",))),
    ("a dog chases a cat", scene("1 dog", "1 cat", relations=("0 chases 1",))),
    ("a dog chases a cat", scene("1 dog", "1 cat", relations=("0 chasing 1",))),
    ("A man riding a horse on a beach at sunset, in the style of Monet", scene(
        "1 man", "1 horse", "1 beach", relations=("0 riding 1", "1 on 2"), style="at sunset, in the style of Monet")),
    ("several red cars and a few dogs", scene("+2 car colour=red", "+2 dog")),
    ("A flock of birds over a lake", scene("+2 bird", "1 lake", relations=("0 over 1",))),
    ("twelve eggs in a basket", scene("12 egg", "1 basket", relations=("0 in 1",))),
    ("15 balloons", scene("15 balloon")),
    ("A black and white cat on a mat.", scene("1 cat colour=black_and_white", "1 mat", relations=("0 on 1",))),
    ("A house made of wood.", scene("1 house material=wooden")),
    ("An Albert Einstein portrait with a TV", scene("1 Albert Einstein", "1 tv", relations=("0 with 1",))),
    ("A cup under a table", scene("1 cup", "1 table", relations=("1 above 0",))),
    ("Below a green cup waits a red car", scene("1 cup colour=green", "1 car colour=red", relations=("0 above 1",))),
    ("A dog and another dog", scene("2 dog")),
    ("ein roter Hund neben einer Katze", scene("1 dog colour=red", "1 cat", relations=("0 next to 1",))),
    ("一只红色的狗", scene("1 dog colour=red")),
    ("An orange colored sandwich.", scene("1 sandwich colour=orange")),
    ("A black and white photo of a dog in a row of trees.", scene("1 dog")),
    ("A cat next to a dog", scene("1 dog", "1 cat", relations=("0 next to 1",))),
    ("A watercolor of a St. Bernard on a white background", scene(
        "1 St. Bernard", background="white", style="watercolor")),
]  # fmt: skip


@pytest.mark.parametrize(("prompt", "graph"), RIGHT)
def test_a_right_graph_passes_and_is_described(prompt: str, graph: SceneGraph) -> None:
    assert departures(prompt, graph, COCO) == []
    assert check_against(prompt, graph, COCO) == graph


CAR_ABOVE_CUP = "In the morning a red car waits above a green cup."
TWO = ("1 car colour=red", "1 cup colour=green")
BENT: list[tuple[str, SceneGraph, str]] = [
    (CAR_ABOVE_CUP, scene(*TWO, relations=("1 above 0",)), "says the opposite"),
    (CAR_ABOVE_CUP, scene(*TWO), "one red car above one green cup, the scene does not"),
    (CAR_ABOVE_CUP, scene(*TWO, relations=("0 to the left of 1",)), "car is to the left of the green cup"),
    (CAR_ABOVE_CUP, scene(*TWO, "1 fish colour=blue", relations=("0 above 1",)), "adds a fish"),
    (CAR_ABOVE_CUP, scene(*TWO, relations=("0 above 1",), background="sand"), "the background sand"),
    (CAR_ABOVE_CUP, scene("1 car colour=red", relations=()), "one green cup, the scene does not"),
    (CAR_ABOVE_CUP, scene("1 car colour=green", "1 cup colour=red", relations=("0 above 1",)), "one red car"),
    (CAR_ABOVE_CUP, scene("2 car colour=red", "1 cup colour=green", relations=("0 above 1",)), "one red car"),
    (CAR_ABOVE_CUP, scene("1 car colour=red size=big", TWO[1], relations=("0 above 1",)), "big (size of car)"),
    (CAR_ABOVE_CUP, scene(*TWO, relations=("0 above 1",), style="watercolour"), "the style watercolour"),
    ("a red car and a cup", scene("1 car colour=red", "1 cup colour=red"), "red (colour of cup)"),
    ("a cat without a dog", scene("1 cat", "1 dog"), "adds a dog"),
    ("a bus stop", scene("1 bus"), "adds a bus"),
    ("an orange car", scene("1 car colour=orange", "1 orange"), "adds an orange"),
    ("three dogs", scene("2 dog"), "three dog"),
    ("three dogs", scene("+2 dog"), "three dog"),
    ("some dogs", scene("1 dog"), "some dog"),
    ("a dog", scene("3 dog"), "one dog"),
    ("two cars, one red and one blue", scene("1 car colour=red", "1 car colour=green"), "one blue car"),
    ("a cup under a table", scene("1 cup", "1 table", relations=("0 above 1",)), "opposite"),
    ("a dog chasing a cat", scene("1 dog", "1 cat", relations=("1 chasing 0",)), "opposite"),
    ("a brown cat and a black mouse", scene("1 cat colour=brown"), "names a black mouse"),
    ("a cow on the top of a painting", scene("1 cow", "1 painting", relations=("1 on top of 0",)), "opposite"),
    ("a dog on a mat", scene("1 dog", "1 mat", "1 sofa", relations=("0 on 1",)), "adds a couch"),
    ("a dog on a mat", scene("1 dog", "1 mat", relations=("0 riding 1",)), "the dog is riding the mat"),
]  # fmt: skip


@pytest.mark.parametrize(("prompt", "graph", "clause"), BENT)
def test_a_bent_graph_is_refused_with_the_clause(prompt: str, graph: SceneGraph, clause: str) -> None:
    vocabulary = WORDS if prompt == CAR_ABOVE_CUP else COCO
    with pytest.raises(SceneError) as refused:
        check_against(prompt, graph, vocabulary)
    assert clause in str(refused.value)


def test_a_prompt_that_needs_knowledge_may_be_answered_in_other_words() -> None:
    rooster = scene("1 rooster")
    assert departures("the national animal of France", rooster, COCO) == [
        "the scene adds a rooster, of which the prompt says nothing"
    ]
    assert departures("the national animal of France", rooster, COCO, indirect=True) == []
    assert departures("the national animal of France beside a dog", rooster, COCO, indirect=True) == [
        "the prompt names one dog, the scene does not"
    ]


def test_a_graph_that_no_text_can_tell_is_refused() -> None:
    with pytest.raises(SceneError, match="cannot be read back"):
        check_against("a dog chasing another dog", scene("1 dog", "1 dog", relations=("0 chasing 1",)), COCO)
    with pytest.raises(SceneError, match="unknown place"):
        check_against("a dog in the attic", scene("1 dog place=in_the_attic"), COCO)


def test_a_graph_takes_the_spelling_of_the_vocabulary() -> None:
    told = spelt(scene("1 TV colour=Red", "2 dogs", "1 people", "1 Unicorn", relations=("0 ABOVE 1",)), COCO)
    assert [o.noun for o in told.objects] == ["tv", "dog", "people", "Unicorn"]
    assert told.objects[0].attributes == {"colour": "red"} and told.relations[0].predicate == "above"


def test_the_closed_vocabulary_names_the_word_it_lacks() -> None:
    for graph, word in [
        (scene("1 unicorn"), "unicorn"),
        (scene("1 dog colour=crimson"), "crimson"),
        (scene("1 dog", "1 cat", relations=("0 chasing 1",)), "chasing"),
        (scene("1 dog", background="sand"), "sand"),
    ]:
        with pytest.raises(SceneError, match=f"'{word}'; add it there"):
            check_words(graph, COCO)
