"""Finds the objects, relations, backgrounds and places that a free text names, by the words of a vocabulary.

It is looser than the grammar: it skips words it does not know, so it can read the long prompts that models write. It
sees what is named, not what is meant. That is enough to catch a text that drops or contradicts its scene graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from underpaint.schemas.scenes.grammar import NUMBERS, GrammarError
from underpaint.schemas.scenes.scene import PLACE, PLACES, Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary

_DEFINITE = ("the", "this", "that", "these", "those", "both", "its", "their")
_INDEFINITE = ("a", "an", "another", *NUMBERS[1:])
# Looking backwards from a noun, the words that belong to it end at one of these.
_LINKS = ("and", "or", "but", "while", "is", "are")
_PREPOSITIONS = ("with", "of", "on", "in", "at", "to", "by", "near", "beside", "from")
_BREAKS = {*_DEFINITE, *_INDEFINITE, *_LINKS, *_PREPOSITIONS, ",", ";"}
_REACH = 6  # how many words before a noun may belong to it


@dataclass(frozen=True)
class Mention:
    """One noun phrase. `count` is None where the text does not say ("the fish").

    `new` is true where the phrase introduces an object ("a car", "two cars").
    """

    noun: str
    attributes: tuple[tuple[str, str], ...]
    count: int | None
    new: bool
    start: int  # index of its first word in the sentence
    end: int  # index of the word after its last

    def fits(self, node: SceneObject) -> bool:
        """Whether the phrase may mean this node: its noun, count and every attribute it names are the node's too."""
        said = all(node.attributes.get(kind) == value for kind, value in self.attributes)
        return self.noun == node.noun and said and self.count in (None, node.count)


@dataclass(frozen=True)
class Mentions:
    """All that a text names, in the order of its sentences."""

    objects: tuple[Mention, ...]
    relations: tuple[tuple[Mention, str, Mention], ...]
    backgrounds: tuple[str, ...]
    places: tuple[tuple[Mention, str], ...]


def find_mentions(text: str, vocabulary: Vocabulary) -> Mentions:
    """Find all that the text names, sentence by sentence."""
    objects: list[Mention] = []
    relations: list[tuple[Mention, str, Mention]] = []
    backgrounds: list[str] = []
    places: list[tuple[Mention, str]] = []
    for sentence in re.split(r"[.!?:\n]+", text.lower()):
        words = re.findall(r"[a-z0-9'-]+|[,;]", sentence)
        found = _noun_phrases(words, vocabulary)
        objects += found
        for predicate in vocabulary.relations:
            relations += _related(words, found, predicate)
        backgrounds += [b for b in vocabulary.backgrounds if f" {b} background" in f" {' '.join(words)}"]
        for place in vocabulary.attributes.get(PLACE, ()) if found else ():
            places += _placed(words, found, place)
    return Mentions(tuple(objects), tuple(relations), tuple(backgrounds), tuple(places))


def _uses(words: list[str], phrase: str) -> Iterator[tuple[int, int]]:
    """(first, after the last) index of the words of every use of a phrase."""
    parts = phrase.split()
    for i in range(len(words) - len(parts) + 1):
        if words[i : i + len(parts)] == parts:
            yield i, i + len(parts)


def _noun_phrases(words: list[str], vocabulary: Vocabulary) -> list[Mention]:
    spans: list[tuple[int, int, str]] = []  # of the nouns alone, longest forms first
    taken: set[int] = set()
    for form, noun in vocabulary.noun_forms:
        for start, end in _uses(words, form):
            if taken.isdisjoint(range(start, end)):
                taken.update(range(start, end))
                spans.append((start, end, noun))
    spans.sort()
    starts = {start for start, _, _ in spans}
    # "an orange car": a word that may be noun or attribute ("orange") is no noun where a noun follows it
    nouns = [s for s in spans if not (vocabulary.kind_of(" ".join(words[s[0] : s[1]])) and s[1] in starts)]
    found, last = [], 0
    for start, end, noun in nouns:
        found.append(_phrase(words, last, start, end, noun, vocabulary))
        last = end
    return found


def _phrase(words: list[str], last: int, start: int, end: int, noun: str, vocabulary: Vocabulary) -> Mention:
    attributes: dict[str, str] = {}
    first = start
    while first > max(last, start - _REACH) and words[first - 1] not in _BREAKS:
        first -= 1
        kind = vocabulary.kind_of(words[first])
        if kind is not None:
            attributes[kind] = words[first]
    before = words[first - 1] if first > last else ""
    count = None if before not in _INDEFINITE else NUMBERS.index(before) if before in NUMBERS else 1
    new = before in _INDEFINITE and (first < 2 or words[first - 2] not in _DEFINITE)  # not "the two cars"
    return Mention(noun, tuple(sorted(attributes.items())), count, new, first, end)


def _related(words: list[str], found: list[Mention], predicate: str) -> list[tuple[Mention, str, Mention]]:
    """Every use of a predicate in one sentence, with the nearest phrase on either side of it."""
    stated = []
    for start, end in _uses(words, predicate):
        left, right = [m for m in found if m.end <= start], [m for m in found if m.start >= end]
        if left and right:
            stated.append((left[-1], predicate, right[0]))
    return stated


def _placed(words: list[str], found: list[Mention], place: str) -> list[tuple[Mention, str]]:
    """Every use of a place after a phrase. "at the top left" does not count as a use of "at the top"."""
    longer = {start for p in PLACES if p.startswith(place + " ") for start, _ in _uses(words, p)}
    stated = []
    for start, end in _uses(words, place):
        left = [m for m in found if m.end <= start]
        if left and start not in longer and words[end : end + 1] != ["of"]:
            stated.append((left[-1], place))
    return stated


def gather(text: str, vocabulary: Vocabulary) -> SceneGraph:
    """One scene of all that the text names. Raises GrammarError where it names no object of the vocabulary.

    "a red car" is a new object unless an equal one was named before; "the car" means the last object that it fits.
    """
    said = find_mentions(text, vocabulary)
    if not said.objects:
        raise GrammarError(f"{text!r} names nothing that the vocabulary knows")
    nodes: list[SceneObject] = []
    node_of: dict[int, str] = {}
    for mention in said.objects:
        new = SceneObject(
            id=f"o{len(nodes)}", noun=mention.noun, attributes=dict(mention.attributes), count=mention.count or 1
        )
        known = next((o for o in reversed(nodes) if mention.fits(o) and (not mention.new or o.label == new.label)), new)
        if known is new:
            nodes.append(new)
        node_of[id(mention)] = known.id
    for mention, place in said.places:
        nodes = [o.with_attribute(PLACE, place) if o.id == node_of[id(mention)] else o for o in nodes]
    relations = {
        Relation(subject=node_of[id(a)], predicate=p, object=node_of[id(b)])
        for a, p, b in said.relations
        if node_of[id(a)] != node_of[id(b)]
    }
    ordered = sorted(relations, key=lambda r: (r.subject, r.predicate, r.object))
    return SceneGraph(objects=tuple(nodes), relations=tuple(ordered), background=next(iter(said.backgrounds), ""))


def disagreements(text: str, graph: SceneGraph, vocabulary: Vocabulary) -> list[str]:
    """Where a long text drops or contradicts its graph, one clause each; [] where it says the same and no more.

    Details beyond the graph count as contradictions too, if the vocabulary has words for them: the prompt would ask for
    a colour that only the long text names, and no step would know of it.
    """
    said = find_mentions(text, vocabulary.with_words_of(graph))
    found = [f"drops {_name(o)}" for o in graph.objects if not _named(o, said)]
    found += [f"adds {_phrase_words(m)}" for m in said.objects if not any(m.fits(o) for o in graph.objects)]
    stated = {(r.subject, r.predicate, r.object) for r in map(Relation.canonical, graph.relations)}
    heard = set()
    for a, predicate, b in said.relations:
        ends = [(x.id, y.id) for x in graph.objects for y in graph.objects if x != y and a.fits(x) and b.fits(y)]
        turned = [Relation(subject=x, predicate=predicate, object=y).canonical() for x, y in ends]
        meant = {(r.subject, r.predicate, r.object) for r in turned} & stated
        heard |= meant
        if not meant:
            found.append(f"adds {_phrase_words(a)} {predicate} {_phrase_words(b)}")
    found += [f"drops {graph.node(s).noun} {p} {graph.node(o).noun}" for s, p, o in sorted(stated - heard)]
    wanted = {(o.noun, o.attributes[PLACE]) for o in graph.objects if PLACE in o.attributes}
    found += [f"adds {m.noun} {place}" for m, place in said.places if (m.noun, place) not in wanted]
    found += [f"adds a {b} background" for b in said.backgrounds if b != graph.background]
    if graph.background and graph.background not in said.backgrounds:
        found.append(f"drops the {graph.background} background")
    return found


def _named(node: SceneObject, said: Mentions) -> bool:
    """Whether some phrase names the node with all of its attributes, and with its count if that is above one."""
    wanted = {(k, v) for k, v in node.attributes.items() if k != PLACE}
    placed = PLACE not in node.attributes or any(
        m.fits(node) and place == node.attributes[PLACE] for m, place in said.places
    )
    counts = (1, None) if node.count == 1 else (node.count,)
    return placed and any(m.fits(node) and set(m.attributes) == wanted and m.count in counts for m in said.objects)


def _name(node: SceneObject) -> str:
    number = [NUMBERS[node.count]] if node.count > 1 else []
    return " ".join([*number, *(v for _, v in sorted(node.attributes.items())), node.noun])


def _phrase_words(mention: Mention) -> str:
    number = [NUMBERS[mention.count]] if mention.count else []
    return " ".join([*number, *(v for _, v in mention.attributes), mention.noun])
