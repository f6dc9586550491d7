"""Tries every word of a vocabulary: what the grammar writes with it must be read back as it was meant.

A word that is lost on the way ("light blue" read as "blue") would lose every prompt that uses it, stage by stage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from underpaint.schemas.scenes.edit import Edit, Op, apply, instruct, read_instruction
from underpaint.schemas.scenes.grammar import GrammarError, describe, read
from underpaint.schemas.scenes.mentions import disagreements
from underpaint.schemas.scenes.scene import Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary, folded
from underpaint.schemas.scenes.wordings import own_wording, reword, wordings


def refuse_unreadable(vocabulary: Vocabulary) -> None:
    """Raises ValueError naming the first word that does not survive, and what became of it.

    Every noun is tried alone and in the plural, every value, place, background and relation with the first nouns:
    description, instructions in all wordings, and the search of long texts.
    """
    for alias, noun in vocabulary.aliases.items():
        if (known := {folded(n): n for n in vocabulary.nouns}.get(folded(alias), noun)) != noun:
            raise ValueError(f"aliases: {alias!r} is the noun {known!r} already, and no other word for {noun!r}")
    _refuse_two_readings(vocabulary)
    for field, word, scene in _trials(vocabulary):
        if re.search("[,;]", word) or not re.search(r"\w", word):
            raise ValueError(f"{field} {word!r} is no word: it has a comma, or no letter. Rename it or leave it out")
        if lost := _lost(scene, vocabulary):
            raise ValueError(f"{field} {word!r} cannot be read back: {lost}. Rename it or leave it out")


def _trials(vocabulary: Vocabulary) -> Iterator[tuple[str, str, SceneGraph]]:
    """(field, word, a scene that uses the word)."""
    first, *others = [n for n in vocabulary.nouns if n not in vocabulary.plain] or vocabulary.nouns
    for noun in vocabulary.nouns:
        for count in (1, 2):
            yield "nouns:", noun, SceneGraph(objects=(SceneObject(id="o0", noun=noun, count=count),))
    for kind, values in vocabulary.attributes.items():
        for value in values:
            node = SceneObject(id="o0", noun=first, attributes={kind: value})
            yield f"attributes.{kind}:", value, SceneGraph(objects=(node,))
    one = SceneObject(id="o0", noun=first)
    for background in vocabulary.backgrounds:
        yield "backgrounds:", background, SceneGraph(objects=(one,), background=background)
    other = SceneObject(id="o1", noun=others[0]) if others else SceneObject(id="o1", noun=first, count=2)
    for predicate in vocabulary.relations:
        told = Relation(subject="o1", predicate=predicate, object="o0")
        yield "relations:", predicate, SceneGraph(objects=(one, other), relations=(told,))


def _lost(scene: SceneGraph, vocabulary: Vocabulary) -> str:
    """How a scene differs from what is read of its own words; "" where it does not."""
    text = describe(scene, vocabulary)
    if lost := _differs(text, scene, partial(read, vocabulary=vocabulary)):
        return lost
    for graph, edit in _edits(scene):
        own = instruct(graph, edit, vocabulary)
        if lost := _differs(own, apply(graph, edit), partial(_carried_out, graph=graph, vocabulary=vocabulary)):
            return lost
        for words in (reword(own, i) for i in range(1, wordings(own))):
            if own_wording(words) != own:
                return f"{words!r} is read as {own_wording(words)!r}"
    return "; ".join(f"a search of {text!r} {clause}" for clause in disagreements(text, scene, vocabulary))


def _edits(scene: SceneGraph) -> Iterator[tuple[SceneGraph, Edit]]:
    """(the scene before it, an edit that uses the words of the scene's last node) for every kind of edit."""
    *others, node = scene.objects
    before = SceneGraph(objects=tuple(others))
    bare = SceneObject(id=node.id, noun=node.noun, count=node.count)
    if scene.background:
        yield SceneGraph(), Edit(op=Op.PAINT, scene=scene)
    yield before, Edit(op=Op.ADD, node=node, relations=scene.relations)
    yield SceneGraph(objects=scene.objects), Edit(op=Op.REMOVE, target=node.id)
    op = Op.MODIFY if node.attributes else Op.SWAP
    yield SceneGraph(objects=(*others, bare)), Edit(op=op, target=node.id, node=node)


def _carried_out(instruction: str, graph: SceneGraph, vocabulary: Vocabulary) -> SceneGraph:
    return apply(graph, read_instruction(instruction, graph, vocabulary))


def _differs(text: str, meant: SceneGraph, reading: Callable[[str], SceneGraph]) -> str:
    try:
        found = reading(text)
    except (GrammarError, KeyError) as e:
        return f"of {text!r}: {e}"
    return "" if found == meant or found.key() == meant.key() else f"{text!r} is read as something else"


def _refuse_two_readings(vocabulary: Vocabulary) -> None:
    """Refuse words of which others are made: "hot", "dog" and "hot dog"; "light", "blue" and "light blue"."""
    coloured = {form for form, noun in vocabulary.forms.items() if noun not in vocabulary.plain}
    for form, noun in vocabulary.forms.items():
        for words, rest in _splits(form):
            if rest in coloured and rest != words and _values_in(words, vocabulary):
                raise ValueError(
                    f"nouns: {noun!r} is also {words!r} with {rest!r}: the grammar cannot tell them apart. Leave one "
                    f"of the words out, or list {vocabulary.forms[rest]!r} under `plain`"
                )
    for value in vocabulary.values:
        for words, rest in _splits(value):
            if kinds := _values_in(words, vocabulary) and _values_in(rest, vocabulary):
                kind = vocabulary.values[value][0]
                raise ValueError(
                    f"attributes.{kind}: {value!r} is also {words!r} with {rest!r}, a {kinds[0]}: the grammar cannot "
                    "tell them apart. Leave one of them out"
                )


def _splits(phrase: str) -> Iterator[tuple[str, str]]:
    parts = phrase.split(" ")
    for i in range(1, len(parts)):
        yield " ".join(parts[:i]), " ".join(parts[i:])


def _values_in(phrase: str, vocabulary: Vocabulary) -> list[str]:
    """The kinds of the values that a phrase is made of; [] where it holds other words."""
    if known := vocabulary.values.get(phrase):
        return [known[0]]
    for first, rest in _splits(phrase):
        if first in vocabulary.values and (kinds := _values_in(rest, vocabulary)):
            return [vocabulary.values[first][0], *kinds]
    return []
