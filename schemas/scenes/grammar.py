"""The grammar: writes a scene graph as text, and reads its own sentences back into a graph.

``A red car at the top left and two green fish on a sand background. The red car is above the green fish.``
``Some light blue TVs and Albert Einstein. Albert Einstein is watching the light blue TVs. Style: watercolour.``
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from underpaint.schemas.scenes.scene import ACTION, OPEN_COUNTS, PLACE, PLACES, Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary, folded

_TO_NINETEEN = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBERS = (*_TO_NINETEEN, *(t if not n else f"{t}-{_TO_NINETEEN[n]}" for t in _TENS for n in range(10)))
NUMBER_OF = {words: n for n, words in enumerate(NUMBERS) if n} | {str(n): n for n in range(1, 100)}
ADJECTIVE_ORDER = ("size", "age", "shape", "colour", "material")  # as in English; unknown kinds go first
# First words that end in "s" and are no verbs: "the dog is across the road", but "the dog chases the cat".
_NO_VERBS = ("across", "towards", "upwards", "downwards", "besides", "versus", "minus", "plus", "its", "this", "as")
_LISTED = 4  # how many parts between commas and "and" one object may have: "a big, red and shiny car"


class GrammarError(ValueError):
    """A sentence the grammar does not know; the message quotes the part that did not parse."""


def article(words: str) -> str:
    """The words with "a" or "an" before them, by their first letter."""
    return f"an {words}" if words[:1].lower() in "aeiou" else f"a {words}"


def capital(text: str) -> str:
    """The text with its first letter in upper case, if that is one letter (of "ß" it is two)."""
    first = text[:1].upper()
    return first + text[1:] if len(first) == 1 else text


def _adjectives(node: SceneObject) -> list[str]:
    kinds = [k for k in node.attributes if k not in (PLACE, ACTION)]
    kinds.sort(key=lambda k: (ADJECTIVE_ORDER.index(k) if k in ADJECTIVE_ORDER else -1, k))
    return [node.attributes[k] for k in kinds]


def name(node: SceneObject, vocabulary: Vocabulary) -> str:
    """The attributes and the noun, in the plural where the count is above one: "red car", "green fish"."""
    noun = node.noun if node.count == 1 else vocabulary.plural(node.noun)
    return " ".join([*_adjectives(node), noun, *filter(None, [node.attributes.get(ACTION)])])


def number(node: SceneObject) -> str:
    """The count in words: "two", "some" for two or more, "at least five"."""
    if not node.at_least:
        return NUMBERS[node.count]
    return OPEN_COUNTS[0] if node.count == 2 else f"at least {NUMBERS[node.count]}"


def indefinite(node: SceneObject, vocabulary: Vocabulary, place: bool = True) -> str:
    """ "a red car at the top left", "two green fish", "Albert Einstein"."""
    text = name(node, vocabulary)
    if node.count > 1:
        text = f"{number(node)} {text}"
    elif not vocabulary.is_name(node.noun):
        text = article(text)
    return f"{text} {node.attributes[PLACE]}" if place and PLACE in node.attributes else text


def definite(node: SceneObject, vocabulary: Vocabulary) -> str:
    """ "the red car", "the green fish", "Albert Einstein": the name without the place."""
    words = name(node, vocabulary)
    return words if vocabulary.is_name(node.noun) and node.count == 1 else f"the {words}"


def is_verb(predicate: str) -> bool:
    """Whether a predicate stands without "is": "chases", "has"; not "chasing", "across"."""
    first = predicate.split(" ", 1)[0].lower()
    return first in ("has", "have") or (re.fullmatch(r".*[^s]s", first) is not None and first not in _NO_VERBS)


def related(subject: SceneObject, predicate: str, object: SceneObject, vocabulary: Vocabulary) -> str:
    """ "the red car is above the green fish", "the dog chases the cats"."""
    verb = "" if is_verb(predicate) else "is " if subject.count == 1 else "are "
    return f"{definite(subject, vocabulary)} {verb}{predicate} {definite(object, vocabulary)}"


def enumerate_words(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c". Raises IndexError where there are no parts."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def describe_objects(graph: SceneGraph, vocabulary: Vocabulary) -> str:
    """The objects and the background, as a sentence without capital and full stop."""
    where = f" on {article(graph.background)} background" if graph.background else ""
    if graph.objects:
        return enumerate_words([indefinite(o, vocabulary) for o in graph.objects]) + where
    return f"an empty {graph.background} background" if graph.background else "an empty picture"


def describe(graph: SceneGraph, vocabulary: Vocabulary) -> str:
    """The whole scene in the grammar's words. `read` turns the text back into a graph with an equal key."""
    sentences = [capital(describe_objects(graph, vocabulary))]
    for r in graph.relations:
        sentences.append(capital(related(graph.node(r.subject), r.predicate, graph.node(r.object), vocabulary)))
    return ". ".join(sentences) + "." + with_style(graph.style)


def with_style(style: str) -> str:
    """The sentence that says the style of the whole, after a space; "" where there is none."""
    return f" Style: {style}." if style else ""


def read_object(text: str, vocabulary: Vocabulary, id: str) -> SceneObject:
    """ "two green fish at the top" → node. Raises GrammarError naming the unknown word."""
    words, attributes = folded(text), {}
    for place in PLACES:
        if words.endswith(" " + place):
            words, attributes[PLACE] = words.removesuffix(" " + place), place
            break
    for action in vocabulary.actions:
        if words.endswith(" " + folded(action)):
            words, attributes[ACTION] = words.removesuffix(" " + folded(action)), action
            break
    count, at_least, rest = _counted(words, text)
    parts = rest.split()
    begin = next((i for i in range(len(parts)) if " ".join(parts[i:]) in vocabulary.forms), None)
    if begin is None:
        if not count:
            raise GrammarError(f"{text!r} does not begin with an article or a number")
        raise GrammarError(f"no known noun in {text!r}")
    form = " ".join(parts[begin:])
    noun = vocabulary.forms[form]
    if not count and not vocabulary.is_name(noun):
        raise GrammarError(f"{text!r} does not begin with an article or a number")
    if at_least and form == folded(noun) and form != folded(vocabulary.plural(noun)):
        raise GrammarError(f"{text!r} speaks of several, but {form!r} is one")
    for kind, value in _read_values(parts[:begin], text, vocabulary):
        if attributes.setdefault(kind, value) != value:
            raise GrammarError(f"{text!r} gives two words for one {kind}: {attributes[kind]!r} and {value!r}")
    return SceneObject(id=id, noun=noun, attributes=attributes, count=count or 1, at_least=at_least)


def _counted(words: str, text: str) -> tuple[int, bool, str]:
    """(count, whether it is the least, the words after it); the count is 0 where there is no article or number."""
    for some in OPEN_COUNTS:
        if words.startswith(some + " "):
            return 2, True, words.removeprefix(some)
    at_least = words.startswith("at least ")
    head, _, rest = words.removeprefix("at least ").partition(" ")
    if head in ("a", "an", "the") and not at_least:
        return 1, False, rest
    if head not in NUMBER_OF:
        return 0, False, words
    if at_least and NUMBER_OF[head] == 1:
        raise GrammarError(f"{text!r}: at least one may be one or many")
    return NUMBER_OF[head], at_least, rest


def _read_values(words: list[str], text: str, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """(kind, value) of the words before a noun, the longest value first: "light blue" before "light"."""
    words = [w.removesuffix(",") for w in words]
    while words:
        end = next((n for n in range(len(words), 0, -1) if " ".join(words[:n]) in vocabulary.values), 0)
        if not end:
            raise GrammarError(f"unknown word {words[0]!r} in {text!r}")
        yield vocabulary.values[" ".join(words[:end])]
        words = words[end:]


def read_objects(text: str, vocabulary: Vocabulary) -> tuple[SceneObject, ...]:
    """ "a red car, two green fish and a cup" → nodes o0, o1, o2. Raises GrammarError naming the unknown word.

    Commas and "and" part objects; where that gives no known ones, they may also be within one ("a big, red car").
    """
    pieces = re.split(r"(, and |, | and )", text)
    parts = len(pieces) // 2 + 1
    wrong: GrammarError | None = None
    seen: set[int] = set()
    trials: list[tuple[int, int, tuple[SceneObject, ...]]] = [(0, 1, ())]
    while trials:  # depth first; what follows a part does not depend on how it was reached
        begin, end, nodes = trials.pop()
        if end < min(parts, begin + _LISTED):
            trials.append((begin, end + 1, nodes))
        try:
            node = read_object("".join(pieces[2 * begin : 2 * end - 1]), vocabulary, f"o{len(nodes)}")
        except GrammarError as e:
            wrong = wrong or e
            continue
        if end == parts:
            return (*nodes, node)
        if end not in seen:
            seen.add(end)
            trials.append((end, end + 1, (*nodes, node)))
    assert wrong is not None
    raise wrong


def find(objects: tuple[SceneObject, ...], text: str, vocabulary: Vocabulary) -> SceneObject:
    """The node that a definite phrase means ("the red car", "the red car at the top left"); GrammarError if none."""
    words = folded(text)
    for node in objects:
        phrase = folded(definite(node, vocabulary))
        if words == phrase or (PLACE in node.attributes and words == f"{phrase} {node.attributes[PLACE]}"):
            return node
    raise GrammarError(f"{text!r} speaks of nothing in the scene")


def split_background(text: str) -> tuple[str, str]:
    """ "a red car on a sand background" → ("a red car", "sand")."""
    match = re.fullmatch(r"(.*) on an? (.+?) background", text, re.IGNORECASE)
    return (match[1], match[2]) if match else (text, "")


def known_background(words: str, vocabulary: Vocabulary) -> str:
    """The background as the vocabulary writes it. Raises GrammarError where it has others.

    Where it has none at all, a few words are taken as they are, but no sentence part: "on a beach with a tent in the
    background".
    """
    parts = words.lower().split()
    if not words or (not vocabulary.backgrounds and len(parts) <= 3 and not {"the", "a", "an"} & {*parts}):
        return words
    for background in vocabulary.backgrounds:
        if folded(background) == folded(words):
            return background
    raise GrammarError(f"unknown background {words!r}")


def split_style(text: str) -> tuple[str, str]:
    """ "A red car. Style: watercolour." → ("A red car.", "watercolour")."""
    match = re.fullmatch(r"(.*?)\s*\bstyle: (.+?)\.?\s*", text, re.IGNORECASE | re.DOTALL)
    return (match[1], match[2]) if match else (text, "")


def split_sentences(text: str, vocabulary: Vocabulary) -> list[str]:
    """The sentences, without their full stops. A full stop within a word of the vocabulary ends none."""
    words = [m.span() for m in vocabulary.dotted.finditer(text)] if vocabulary.dotted else []
    sentences, begin = [], 0
    for stop in re.finditer(r"\.\s*", text):
        if not any(first <= stop.start() < last for first, last in words):
            sentences.append(text[begin : stop.start()])
            begin = stop.end()
    return [s for s in (*sentences, text[begin:]) if s]


def read(text: str, vocabulary: Vocabulary) -> SceneGraph:
    """The graph of a text that `describe` could have written. Raises GrammarError with the part it cannot read."""
    text, style = split_style(text)
    sentences = split_sentences(text.strip(), vocabulary)
    if not sentences:
        raise GrammarError("an empty text")
    first = sentences[0][:1].lower() + sentences[0][1:]
    objects: tuple[SceneObject, ...] = ()
    background = ""
    if empty := re.fullmatch(r"an empty (.+) background", first):
        background = empty[1]
    elif first != "an empty picture":
        words, background = split_background(first)
        objects = read_objects(words, vocabulary)
    background = known_background(background, vocabulary)
    relations = tuple(_read_relation(s, objects, vocabulary) for s in sentences[1:])
    return SceneGraph(objects=objects, relations=relations, background=background, style=style)


def _read_relation(sentence: str, objects: tuple[SceneObject, ...], vocabulary: Vocabulary) -> Relation:
    wrong: GrammarError | None = None
    for predicate, sides in split_relation(sentence, vocabulary):
        try:
            subject, object = (find(objects, side, vocabulary) for side in sides)
        except GrammarError as e:
            wrong = wrong or e
            continue
        if subject.id == object.id:
            raise GrammarError(f"one thing stands in a relation to itself in {sentence!r}")
        return Relation(subject=subject.id, predicate=predicate, object=object.id)
    raise wrong or GrammarError(f"no known relation in {sentence!r}")


def split_relation(sentence: str, vocabulary: Vocabulary) -> Iterator[tuple[str, tuple[str, str]]]:
    """(predicate, (what stands before, after it)) of every use of a predicate, the longest predicates first.

    "is", "that is" and the like are no part of either side.
    """
    words = folded(sentence)
    for predicate in vocabulary.longest_first:
        for use in re.finditer(rf" (?={re.escape(folded(predicate))} )", words):
            subject = re.sub(r" (?:(?:that|which) )?(?:is|are)$| (?:that|which)$", "", words[: use.start()])
            yield predicate, (subject, words[use.end() + len(folded(predicate)) + 1 :])
