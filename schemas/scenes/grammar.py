"""The grammar: writes a scene graph as text, and reads its own sentences back into a graph.

``A red car at the top left and two green fish on a sand background. The red car is above the green fish.``
"""

from __future__ import annotations

import re

from underpaint.schemas.scenes.scene import PLACE, PLACES, Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ADJECTIVE_ORDER = ("size", "age", "shape", "colour", "material")  # as in English; unknown kinds go first


class GrammarError(ValueError):
    """A sentence the grammar does not know; the message quotes the part that did not parse."""


def article(words: str) -> str:
    """The words with "a" or "an" before them, by their first letter."""
    return f"an {words}" if words[:1].lower() in "aeiou" else f"a {words}"


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def _adjectives(node: SceneObject) -> list[str]:
    kinds = [k for k in node.attributes if k != PLACE]
    kinds.sort(key=lambda k: (ADJECTIVE_ORDER.index(k) if k in ADJECTIVE_ORDER else -1, k))
    return [node.attributes[k] for k in kinds]


def name(node: SceneObject, vocabulary: Vocabulary) -> str:
    """The attributes and the noun, in the plural where the count is above one: "red car", "green fish"."""
    noun = node.noun if node.count == 1 else vocabulary.nouns.get(node.noun, node.noun + "s")
    return " ".join([*_adjectives(node), noun])


def indefinite(node: SceneObject, vocabulary: Vocabulary, place: bool = True) -> str:
    """ "a red car at the top left", "two green fish"."""
    words = name(node, vocabulary)
    text = article(words) if node.count == 1 else f"{NUMBERS[node.count]} {words}"
    return f"{text} {node.attributes[PLACE]}" if place and PLACE in node.attributes else text


def definite(node: SceneObject, vocabulary: Vocabulary) -> str:
    """ "the red car", "the green fish": the name without the place."""
    return f"the {name(node, vocabulary)}"


def enumerate_words(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c". Raises IndexError where there are no parts."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def describe(graph: SceneGraph, vocabulary: Vocabulary) -> str:
    """The whole scene in the grammar's words. `read` turns the text back into a graph with an equal key."""
    where = f" on {article(graph.background)} background" if graph.background else ""
    if graph.objects:
        first = enumerate_words([indefinite(o, vocabulary) for o in graph.objects]) + where
    else:
        first = f"an empty {graph.background} background" if graph.background else "an empty picture"
    sentences = [capital(first)]
    for r in graph.relations:
        subject, object = graph.node(r.subject), graph.node(r.object)
        verb = "is" if subject.count == 1 else "are"
        sentences.append(
            capital(f"{definite(subject, vocabulary)} {verb} {r.predicate} {definite(object, vocabulary)}")
        )
    return ". ".join(sentences) + "."


def read_object(text: str, vocabulary: Vocabulary, id: str) -> SceneObject:
    """ "two green fish at the top" → node. Raises GrammarError naming the unknown word."""
    words, attributes = text.strip(), {}
    for place in PLACES:
        if words.endswith(" " + place):
            words, attributes[PLACE] = words.removesuffix(" " + place), place
            break
    head, _, rest = words.partition(" ")
    head = head.lower()
    if head in ("a", "an", "the"):
        count, words = 1, rest
    elif head in NUMBERS[1:]:
        count, words = NUMBERS.index(head), rest
    else:
        raise GrammarError(f"{text!r} does not begin with an article or a number")
    known = next((f for f in vocabulary.noun_forms if words == f[0] or words.endswith(" " + f[0])), None)
    if known is None:
        raise GrammarError(f"no known noun in {text!r}")
    form, noun = known
    for word in words.removesuffix(form).split():
        kind = vocabulary.kind_of(word)
        if kind is None:
            raise GrammarError(f"unknown word {word!r} in {text!r}")
        attributes[kind] = word
    return SceneObject(id=id, noun=noun, attributes=attributes, count=count)


def read_objects(text: str, vocabulary: Vocabulary) -> tuple[SceneObject, ...]:
    """ "a red car, two green fish and a cup" → nodes o0, o1, o2."""
    parts = [p for p in re.split(r", | and ", text) if p]
    return tuple(read_object(p, vocabulary, f"o{i}") for i, p in enumerate(parts))


def find(objects: tuple[SceneObject, ...], text: str, vocabulary: Vocabulary) -> SceneObject:
    """The node that a definite phrase means ("the red car", "the red car at the top left"); GrammarError if none."""
    words = text.strip().lower()
    for node in objects:
        phrase = definite(node, vocabulary)
        if words == phrase or (PLACE in node.attributes and words == f"{phrase} {node.attributes[PLACE]}"):
            return node
    raise GrammarError(f"{text!r} speaks of nothing in the scene")


def split_background(text: str) -> tuple[str, str]:
    """ "a red car on a sand background" → ("a red car", "sand")."""
    match = re.fullmatch(r"(.*) on an? ([\w -]+?) background", text)
    return (match[1], match[2]) if match else (text, "")


def read(text: str, vocabulary: Vocabulary) -> SceneGraph:
    """The graph of a text that `describe` could have written. Raises GrammarError with the part it cannot read."""
    sentences = [s for s in re.split(r"\.\s*", text.strip()) if s]
    if not sentences:
        raise GrammarError("an empty text")
    first = sentences[0][:1].lower() + sentences[0][1:]
    objects: tuple[SceneObject, ...] = ()
    background = ""
    if empty := re.fullmatch(r"an empty ([\w -]+) background", first):
        background = empty[1]
    elif first != "an empty picture":
        words, background = split_background(first)
        objects = read_objects(words, vocabulary)
    if background and vocabulary.backgrounds and background not in vocabulary.backgrounds:
        raise GrammarError(f"unknown background {background!r}")
    relations = tuple(_read_relation(s, objects, vocabulary) for s in sentences[1:])
    return SceneGraph(objects=objects, relations=relations, background=background)


def _read_relation(sentence: str, objects: tuple[SceneObject, ...], vocabulary: Vocabulary) -> Relation:
    for predicate in sorted(vocabulary.relations, key=len, reverse=True):
        match = re.fullmatch(rf"(.+?) (?:is|are) {re.escape(predicate)} (.+)", sentence)
        if match:
            subject, object = (find(objects, side, vocabulary) for side in match.groups())
            if subject.id == object.id:
                raise GrammarError(f"one thing stands in a relation to itself in {sentence!r}")
            return Relation(subject=subject.id, predicate=predicate, object=object.id)
    raise GrammarError(f"no known relation in {sentence!r}")
