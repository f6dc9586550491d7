"""Vocabularies of real names: every word survives describe → read and instruct → read, or is refused by name."""

from __future__ import annotations

import random

import yaml
from conftest import ROOT
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from underpaint.miniature.world import vocabulary
from underpaint.schemas.scenes.edit import Edit, Op, apply, instruct, read_instruction
from underpaint.schemas.scenes.grammar import describe, read
from underpaint.schemas.scenes.mentions import disagreements
from underpaint.schemas.scenes.plurals import plural_of
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.scene import SceneGraph
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
