"""Vocabularies of real names: every word survives describe → read and instruct → read, or is refused by name."""

from __future__ import annotations

import random
import time

import pytest
import yaml
from conftest import ROOT
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from underpaint.miniature.world import vocabulary
from underpaint.schemas.scenes.compare import FaultKind, SceneFit, compare
from underpaint.schemas.scenes.edit import Edit, Op, apply, instruct, read_instruction
from underpaint.schemas.scenes.grammar import NUMBERS, describe, is_verb, read
from underpaint.schemas.scenes.mentions import disagreements
from underpaint.schemas.scenes.plurals import is_name, plural_of
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.scene import SceneGraph, SceneObject
from underpaint.schemas.scenes.survival import refuse_unreadable
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.planning.compose import TooFewWords, compose

WORDS = vocabulary()
COCO = Vocabulary.model_validate(yaml.safe_load((ROOT / "recipes" / "vocabularies" / "coco.yaml").read_text()))

NAMES = (
    "TV", "iPhone", "Cricket ball", "café", "St. Bernard", "Albert Einstein", "traffic light", "salt and pepper shaker",
    "doll with hat", "chopsticks", "Boeing 747", "jack-in-the-box", "women's shoe", "naïve painting", "Ōtsuchi crab",
    "pair of skis", "Yahoo! sign", "boat at sunset", "cod", "photo of a king", "bus", "glass", "M&M", "7 Up can",
)  # fmt: skip
COLOURS = ("red", "light blue", "blue", "black and white", "Prussian blue", "off-white", "café au lait", "no. 5 grey")
PREDICATES = ("above", "below", "on", "on top of", "chasing", "chases", "is riding", "in front of", "looking at")
BACKGROUNDS = ("sand", "deep blue", "St. Moritz", "café", "Paris street")
odd = st.text("abcdeéñß .,-'&!A", min_size=1, max_size=9).map(str.strip).filter(bool)


def _some(words: tuple[str, ...], least: int = 0) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(words), unique=True, min_size=least, max_size=6)


@st.composite
def vocabularies(draw: st.DrawFn, strange: bool = False) -> Vocabulary:
    """Words of the world; with `strange`, others of any letters and marks among them."""
    nouns, colours = draw(_some(NAMES, 5)), draw(_some(COLOURS, 1))
    if strange:
        nouns, colours = [*nouns, *draw(st.lists(odd, max_size=3))], [*colours, *draw(st.lists(odd, max_size=2))]
    try:
        return Vocabulary.model_validate(
            {
                "nouns": {"cod": "fish", "fish": "fish"} | {n: plural_of(n) for n in nouns},
                "attributes": {"colour": colours, "material": draw(_some(("wooden", "made of glass"), 1))},
                "relations": draw(_some(PREDICATES, 1)),
                "backgrounds": draw(_some(BACKGROUNDS)),
            }
        )
    except ValidationError:
        assume(False)
        raise


def _survives(scene: SceneGraph, words: Vocabulary) -> None:
    text = describe(scene, words)
    assert read(text, words).key() == scene.key(), text
    assert read_prompt(text, words).key() == scene.key(), text
    assert disagreements(text, scene, words) == [], text
    first, *others = scene.objects
    for node in others:
        before = SceneGraph(objects=(first,))
        for edit in (Edit(op=Op.ADD, node=node), Edit(op=Op.SWAP, target=first.id, node=node)):
            told = instruct(before, edit, words)
            assert apply(before, read_instruction(told, before, words)).key() == apply(before, edit).key(), told


@given(vocabularies(), st.integers(0, 10**9), st.sampled_from(["always", "asked"]))
@settings(max_examples=150, deadline=None)
def test_scenes_of_real_names_survive(words: Vocabulary, seed: int, attributes: str) -> None:
    refuse_unreadable(words)
    try:
        scene = compose(random.Random(seed), "composition", words, 8, attributes)
    except TooFewWords:
        return
    _survives(scene, words)


@given(vocabularies(strange=True), st.integers(0, 10**9))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_vocabulary_survives_or_is_refused_with_its_word(words: Vocabulary, seed: int) -> None:
    try:
        refuse_unreadable(words)
    except ValueError as e:
        all_words = [
            *words.nouns,
            *(v for vs in words.attributes.values() for v in vs),
            *words.relations,
            *words.backgrounds,
        ]
        assert any(repr(word) in str(e) for word in all_words)
        return
    try:
        scene = compose(random.Random(seed), "composition", words, 8)
    except TooFewWords:
        return
    _survives(scene, words)


def test_the_names_of_the_case_are_written_and_read() -> None:
    words = Vocabulary.model_validate(
        {
            "nouns": {"TV": "TVs", "café": "cafés", "St. Bernard": "St. Bernards", "cod": "fish", "fish": "fish"},
            "attributes": {"color": ["red", "light blue", "blue"]},
        }
    )
    refuse_unreadable(words)
    text = "Two light blue TVs, a café, a St. Bernard, two cod and three red fish."
    scene = read(text, words)
    assert describe(scene, words) == text
    assert [(o.count, o.noun) for o in scene.objects] == [
        (2, "TV"), (1, "café"), (1, "St. Bernard"), (2, "cod"), (3, "fish")
    ]  # fmt: skip
    assert scene.objects[0].attributes == {"colour": "light blue"}
    for prompt, noun in [
        ("a photo of a TV", "TV"),
        ("A photo of a st. bernard.", "St. Bernard"),
        ("a CAFE\u0301", "café"),
    ]:
        assert [o.noun for o in read_prompt(prompt, words).objects] == [noun]


@pytest.mark.parametrize(
    ("nouns", "attributes", "named"),
    [
        (["dog", "hot dog"], {"state": ["hot"]}, "'hot dog' is also 'hot' with 'dog"),
        (["dog"], {"shade": ["light"], "colour": ["blue", "light blue"]}, "'light blue' is also 'light' with 'blue'"),
        (["dog"], {"shade": ["light"], "weight": ["light"]}, "attributes.weight: 'light'"),
        (["Turkey", "turkey"], {}, "nouns: 'Turkey'"),
        (["cat, the"], {}, "nouns: 'cat, the'"),
        (["?"], {}, r"nouns: '\?'"),
        (["dog"], {"place": ["in the attic"]}, "attributes.place: 'in the attic'"),
    ],
)
def test_a_word_that_cannot_be_read_back_is_named(
    nouns: list[str], attributes: dict[str, list[str]], named: str
) -> None:
    words = Vocabulary.model_validate({"nouns": nouns, "attributes": attributes})
    with pytest.raises(ValueError, match=named):
        refuse_unreadable(words)


def test_a_plain_noun_may_share_words_with_another() -> None:
    given = {"nouns": ["dog", "hot dog"], "attributes": {"state": ["hot"]}}
    with pytest.raises(ValueError, match="list 'dog' under `plain`"):
        refuse_unreadable(Vocabulary.model_validate(given))
    refuse_unreadable(Vocabulary.model_validate({**given, "plain": ["dog"], "attributes": {"state": ["warm"]}}))
    with pytest.raises(ValueError, match="aliases: 'DOG' is the noun 'dog' already"):
        refuse_unreadable(
            Vocabulary.model_validate({"nouns": ["dog", "cat"], "attributes": {}, "aliases": {"DOG": "cat"}})
        )


def test_the_vocabularies_of_the_project_survive() -> None:
    refuse_unreadable(WORDS)
    refuse_unreadable(COCO)


def test_a_thousand_nouns_are_tried_quickly() -> None:
    nouns = {f"{a}{b} thing": f"{a}{b} things" for a in "bcdfghjklm" for b in range(100)}
    words = Vocabulary.model_validate({"nouns": nouns, "attributes": {"colour": ["red", "light blue"]}})
    begin = time.process_time()
    refuse_unreadable(words)
    assert time.process_time() - begin < 5  # 0.5 s where nothing else runs


@pytest.mark.parametrize(
    ("noun", "plural"),
    [
        ("TV", "TVs"), ("bus", "buses"), ("glass", "glasses"), ("person", "people"), ("people", "people"),
        ("chopsticks", "chopsticks"), ("pair of skis", "pairs of skis"), ("lens", "lenses"), ("leaf", "leaves"),
        ("sheep", "sheep"), ("Albert Einstein", "Albert Einstein"), ("Cricket ball", "Cricket balls"),
        ("canvas", "canvases"), ("mother-in-law", "mothers-in-law"), ("St. Bernard", "St. Bernards"),
    ],
)  # fmt: skip
def test_plurals(noun: str, plural: str) -> None:
    assert plural_of(noun) == plural


@pytest.mark.parametrize(
    ("noun", "name"), [("Albert Einstein", True), ("Cricket ball", False), ("Pikachu", False), ("TV set", False)]
)
def test_a_name_of_two_words_takes_no_article(noun: str, name: bool) -> None:
    assert is_name(noun) is name
    scene = SceneGraph(objects=(SceneObject(id="o0", noun=noun),))
    assert describe(scene, COCO.with_words_of(scene)) == (f"{noun}." if name else f"A {noun}.")


def test_numbers_beyond_ten_and_numbers_left_open() -> None:
    assert (NUMBERS[0], NUMBERS[10], NUMBERS[21], NUMBERS[99], len(NUMBERS)) == (
        "zero",
        "ten",
        "twenty-one",
        "ninety-nine",
        100,
    )
    for text, counts in [
        ("Twelve dogs and ninety-nine cats.", [(12, False), (99, False)]),
        ("Some dogs and at least five cats.", [(2, True), (5, True)]),
    ]:
        scene = read(text, COCO)
        assert [(o.count, o.at_least) for o in scene.objects] == counts and describe(scene, COCO) == text
    assert read_prompt("several dogs", COCO) == read_prompt("a few dogs", COCO) == read_prompt("Some dogs.", COCO)
    assert read_prompt("a photo of 12 dogs", COCO).objects[0].count == 12
    given = {"id": "o0", "noun": "dog", "count": "several", "attributes": {"color": "red"}}
    assert SceneObject.model_validate(given) == SceneObject(
        id="o0", noun="dog", count=2, at_least=True, attributes={"colour": "red"}
    )
    with pytest.raises(ValidationError, match="count must be 2 or more"):
        SceneObject(id="o0", noun="dog", at_least=True)
    with pytest.raises(ValidationError):
        SceneObject(id="o0", noun="dog", count=100)


def test_a_number_left_open_is_met_by_more_and_missed_by_fewer() -> None:
    some = read("Some dogs.", COCO)
    for text, fit in [
        ("Seven dogs.", SceneFit.SATISFIES),
        ("A dog.", SceneFit.CONTRADICTS),
        ("Some dogs.", SceneFit.SATISFIES),
    ]:
        assert compare(read(text, COCO), some).fit is fit
    three = compare(some, read("Three dogs.", COCO))  # as many may be meant; it is not said
    assert [d.kind for d in three.differences] == [FaultKind.MISSING_DETAIL] and three.fit is SceneFit.INCOMPLETE
    assert compare(read("At least five dogs.", COCO), read("Three dogs.", COCO)).fit is SceneFit.CONTRADICTS


def test_what_older_graphs_do_not_say_is_not_in_their_json() -> None:
    scene = SceneGraph(objects=(SceneObject(id="o0", noun="dog"),))
    assert scene.model_dump_json() == (
        '{"objects":[{"id":"o0","noun":"dog","attributes":{},"count":1}],"relations":[],"background":""}'
    )
    told = scene.model_copy(update={"style": "at dusk"})
    assert '"style":"at dusk"' in told.model_dump_json() and told.key() != scene.key()
    assert SceneGraph.model_validate_json(told.model_dump_json()) == told


def test_the_style_of_the_whole_is_told_compared_and_kept() -> None:
    scene = read("A dog. Style: in the manner of J. M. W. Turner, at sunset.", COCO)
    assert scene.style == "in the manner of J. M. W. Turner, at sunset"
    text = describe(scene, COCO)
    assert text == "A dog. Style: in the manner of J. M. W. Turner, at sunset." and read(text, COCO) == scene
    own = instruct(SceneGraph(), Edit(op=Op.PAINT, scene=scene), COCO)
    assert own == f"Paint {text[0].lower()}{text[1:]}"
    assert read_instruction(own, SceneGraph(), COCO).scene == scene
    cat = Edit(op=Op.ADD, node=SceneObject(id="o1", noun="cat"))
    assert apply(scene, cat).style == scene.style
    plain = scene.model_copy(update={"style": ""})
    assert compare(scene, plain).fit is SceneFit.SATISFIES  # the prompt leaves it open
    assert compare(plain, scene).fit is SceneFit.INCOMPLETE
    assert compare(scene.model_copy(update={"style": "cartoon"}), scene).fit is SceneFit.CONTRADICTS
    assert disagreements("A dog waits.", scene, COCO) == [f"drops the style {scene.style!r}"]
    assert disagreements("A dog waits in light that Turner might have painted at sunset.", scene, COCO) == []


@pytest.mark.parametrize(
    ("prompt", "means"),
    [
        ("A red colored car.", "A red car."),
        ("a red-coloured car and a dog", "A red car and a dog."),
        ("There are two dogs and a cat.", "Two dogs and a cat."),
        ("an oil painting of a cat", "A cat. Style: oil painting."),
        ("A photo of a dog at sunset, in the style of Goya", "A dog. Style: in the style of Goya, at sunset."),
        ("a watercolor of a dog next to a cat", "A dog and a cat. The dog is next to the cat. Style: watercolor."),
        ("a dog chasing a cat", "A dog and a cat. The dog is chasing the cat."),
        ("a dog that chases two cats", "A dog and two cats. The dog chases the cats."),
        ("a dog, a cat, and a cow", "A dog, a cat and a cow."),
        ("a big, red car", "A big red car."),
        ("a cat on the top of a car", "A cat and a car. The cat is on top of the car."),
    ],
)  # fmt: skip
def test_prompts_of_the_open_world(prompt: str, means: str) -> None:
    relations = (*COCO.relations, "next to", "on top of", "chasing", "chases")
    words = COCO.model_copy(update={"relations": relations, "attributes": {**COCO.attributes, "size": ("big",)}})
    scene = read_prompt(prompt, words)
    assert describe(scene, words) == means and read(means, words).key() == scene.key()


@pytest.mark.parametrize(
    "prompt",
    [
        "a red blue car",  # two colours of one car
        "a beautiful photo of a cat",
        "a train on a train track with a sky in the background",  # that is no background's name
        "some dog",
        "a dog and cat",
    ],
)
def test_what_could_be_read_wrongly_is_not_read(prompt: str) -> None:
    with pytest.raises(ValueError):
        read_prompt(prompt, COCO)


@pytest.mark.parametrize(
    ("predicate", "verb"),
    [("chases", True), ("has", True), ("looks at", True), ("chasing", False), ("across", False), ("on top of", False)],
)
def test_a_verb_stands_without_is(predicate: str, verb: bool) -> None:
    assert is_verb(predicate) is verb
    words = COCO.model_copy(update={"relations": (predicate,)})
    refuse_unreadable(words)
    text = f"A dog and a cat. The dog {'' if verb else 'is '}{predicate} the cat."
    assert describe(read(text, words), words) == text
