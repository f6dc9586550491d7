"""Holds a writer's scene graph against its prompt: the graph is the truth of every step, so it may not bend the prompt.

What the prompt names must be in the graph, and what the graph states must stand in the prompt. Words that no vocabulary
knows can only be looked for: a graph that drops such an object is not noticed, one that adds one is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from underpaint.schemas.scenes.grammar import NUMBER_OF, NUMBERS, indefinite, number, related
from underpaint.schemas.scenes.mentions import ENDS_A_PHRASE, Mention, Mentions, find_mentions, phrase_words
from underpaint.schemas.scenes.scene import PLACE, Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary, folded, tokens
from underpaint.schemas.scenes.word_forms import content, stem, stems

# Words of which one may stand in the prompt for another in the graph's predicates and places.
_ALIKE = (
    {"above", "below", "over", "under", "beneath", "underneath", "atop", "on", "top", "up", "down"},
    {"left", "right"}, {"top", "upper"}, {"bottom", "lower"},
    {"near", "next", "beside", "by", "close", "alongside", "side", "adjacent"},
    {"in", "inside", "within", "into", "with", "has", "have", "wearing", "holding", "dressed", "carrying"},
    {"front", "behind", "before", "back"}, {"on", "upon", "onto", "over", "covering"},
)  # fmt: skip
_BOTH_WAYS = {"next to", "near", "beside", "by", "close to", "alongside", "touching", "adjacent to", "facing", "with"}
_OTHER_WORDS = ((r"(?:on top of|on the top of|over|atop)", "above"), (r"(?:under|underneath|beneath)", "below"))
_SIDE = re.compile(r"(?:\b(?:to|on|at) the )?\b(left|right) (?:side )?of\b", re.IGNORECASE)
_ENGLISH = {"the", "of", "and", "with", "is", "are", "from", "near", "photo", "picture"}


def departures(prompt: str, scene: SceneGraph, vocabulary: Vocabulary, indirect: bool = False) -> list[str]:
    """Where a graph departs from its prompt, one clause each; [] where none is seen.

    `indirect`: the prompt means more than it says ("the national animal of France") or is in another language, so that
    the graph's words need not stand in it. What it does name must be in the graph all the same. A prompt without any of
    the commonest English words is taken to be in another language.
    """
    words = vocabulary.with_words_of(scene)
    said = find_mentions(prompt, words)
    found = [
        f"the prompt names {phrase_words(m)}, the scene does not" for m in said.objects if not _shown(m, said, scene)
    ]
    found += _relations_lost(prompt, scene, words)
    if not indirect and _is_english(prompt):
        found += [f"the prompt names {phrase}, the scene does not" for phrase in _left_out(prompt, scene, words)]
        found += [
            f"the scene adds {clause}, of which the prompt says nothing"
            for clause in _added(prompt, said, scene, words)
        ]
    return list(dict.fromkeys(found))


def _left_out(prompt: str, scene: SceneGraph, vocabulary: Vocabulary) -> Iterator[str]:
    """The phrases of which no word stands in the scene, known or not: "a cat and a black mouse".

    Only those that begin a sentence or stand in a list are objects for sure: "in a row" may be a turn of phrase.
    """
    nouns = {o.noun for o in scene.objects}
    forms = [form for form, noun in vocabulary.forms.items() if noun in nouns]
    there = stems(" ".join([*forms, json.dumps(scene.model_dump(), ensure_ascii=False)]))
    openers = {"a", "an", *NUMBERS[1:]}
    for sentence in re.split(r"[.!?:\n]+", prompt):
        words = tokens(sentence)
        for begin, word in enumerate(words):
            if word not in openers or (begin and words[begin - 1] not in ("and", ",")):
                continue
            end = next((i for i in range(begin + 1, len(words)) if words[i] in ENDS_A_PHRASE), len(words))
            following = words[end : end + 1]
            listed = following not in (["and"], [","]) or not openers.isdisjoint(words[end + 1 : end + 2])
            said = " ".join(words[begin + 1 : end])
            if said and listed and following != ["of"] and stems(said).isdisjoint(there):
                yield f"{word} {said}"


def _may_mean(mention: Mention, node: SceneObject) -> bool:
    """Whether a phrase may mean a node, whatever their numbers."""
    values = {word for value in node.attributes.values() for word in (folded(value), *folded(value).split())}
    same = mention.noun == node.noun or folded(node.noun).endswith(" " + folded(mention.noun))
    return same and all(folded(value) in values for _, value in mention.attributes)


def _shown(mention: Mention, said: Mentions, scene: SceneGraph) -> bool:
    """Whether the scene has what a phrase names, as one node or as several ("two cars": a red one and a blue one)."""
    nodes = [o for o in scene.objects if _may_mean(mention, o)]
    total = sum(o.count for o in nodes)
    if mention.open or (mention.count is None and mention.plural):
        return total >= (mention.count or 2)
    if mention.count is None:
        return bool(nodes)
    told = sum(m.count or 0 for m in said.objects if m.noun == mention.noun and m.new)  # "a dog and another dog"
    exact = {o.count for o in nodes if not o.at_least}
    return not exact.isdisjoint((mention.count, told)) or (bool(exact) and total == mention.count)


def _relations_lost(prompt: str, scene: SceneGraph, vocabulary: Vocabulary) -> Iterator[str]:
    """The relations of the prompt that the scene turns round or does not have."""
    text = _SIDE.sub(r"to the \1 of", prompt)
    stated = {(r.subject, r.predicate, r.object) for r in map(Relation.canonical, scene.relations)}
    linked = {frozenset((r.subject, r.object)) for r in scene.relations}
    spatial = vocabulary.model_copy(update={"relations": ("above", "below")})
    placed = {_statement(r.subject, _in_other_words(r.predicate), r.object) for r in scene.relations}
    meant = find_mentions(_in_other_words(text), spatial)
    for said, told in ((find_mentions(text, vocabulary), stated), (meant, placed)):
        for a, predicate, b in said.relations:
            ends = [(x.id, y.id) for x in scene.objects for y in scene.objects if _may_mean(a, x) and _may_mean(b, y)]
            ends = [(x, y) for x, y in ends if x != y]
            straight = {_statement(x, predicate, y) for x, y in ends}
            turned = {_statement(y, predicate, x) for x, y in ends}
            words = f"{phrase_words(a)} {predicate} {phrase_words(b)}"
            if straight & told or not ends or (predicate in _BOTH_WAYS and turned & told):
                continue
            if turned & told:
                yield f"the prompt says {words}, the scene says the opposite"
            elif said is not meant and not any(frozenset(pair) in linked for pair in ends):
                yield f"the prompt says {words}, the scene does not"


def _in_other_words(text: str) -> str:
    """The text with "above" and "below" for the other words that mean the same."""
    for words, predicate in _OTHER_WORDS:
        text = re.sub(rf"\b{words}\b", predicate, text, flags=re.IGNORECASE)
    return text


def _statement(subject: str, predicate: str, object: str) -> tuple[str, str, str]:
    r = Relation(subject=subject, predicate=predicate, object=object).canonical()
    return r.subject, r.predicate, r.object


def _added(prompt: str, said: Mentions, scene: SceneGraph, vocabulary: Vocabulary) -> Iterator[str]:
    """What the scene states and no word of the prompt does."""
    there = stems(prompt)
    for node in scene.objects:
        mentioned = [m for m in said.objects if _same_noun(m, node)]
        if not mentioned and not _noun_stands(node.noun, prompt, vocabulary):
            yield indefinite(node.model_copy(update={"attributes": {}}), vocabulary)
            continue
        plural = any(m.plural or m.open or m.count != 1 for m in mentioned) or not mentioned
        if node.count > 1 and not plural and sum(m.count or 1 for m in mentioned if m.new) < node.count:
            yield f"{number(node)} {vocabulary.plural(node.noun)}"
        for kind, value in node.attributes.items():
            if not _any_stands(value, there) or (kind != PLACE and _of_another(value, node, said, prompt)):
                yield f"{value} ({kind} of {node.noun})"
    for r in scene.relations:
        if not _any_stands(r.predicate, there):
            yield related(scene.node(r.subject), r.predicate, scene.node(r.object), vocabulary)
    if scene.background and not _any_stands(scene.background, there):
        yield f"the background {scene.background}"
    if scene.style and not _any_stands(scene.style, there):
        yield f"the style {scene.style}"


def _same_noun(mention: Mention, node: SceneObject) -> bool:
    return mention.noun == node.noun or folded(node.noun).endswith(" " + folded(mention.noun))


def _noun_stands(noun: str, prompt: str, vocabulary: Vocabulary) -> bool:
    """Whether a noun that is no phrase of the prompt stands there in some other form ("skiing" for "skis").

    Where its very form stands, it is denied ("without cars") or part of another name ("bus stop").
    """
    forms = [form for form, owner in vocabulary.forms.items() if owner == noun]
    text = f" {' '.join(tokens(prompt))} "
    if any(f" {' '.join(tokens(form))} " in text for form in forms):
        return False
    return any(stem(form.split()[-1]) in stems(prompt) or content(form) <= stems(prompt) for form in forms)


def _any_stands(phrase: str, there: set[str]) -> bool:
    words = set(tokens(phrase)) - {"to", "the", "of", "a", "an", "is", "at", "and"}
    more = {other for group in _ALIKE for other in group if group & words}
    return not {stem(w) for w in words | more}.isdisjoint(there)


def _of_another(value: str, node: SceneObject, said: Mentions, prompt: str) -> bool:
    """Whether every use of a value in the prompt belongs to a phrase that cannot mean the node."""
    uses = f" {' '.join(tokens(prompt))} ".count(f" {' '.join(tokens(value))} ")
    others = [m for m in said.objects if value in dict(m.attributes).values() and not _may_mean(m, node)]
    return 0 < uses == len(others)


def _is_english(prompt: str) -> bool:
    letters = [c for c in prompt if c.isalpha()]
    if sum(c.isascii() for c in letters) < 0.8 * len(letters):
        return False
    words = tokens(prompt)
    first = words[:1]
    return len(words) < 3 or not _ENGLISH.isdisjoint(words) or first in (["a"], ["an"]) or first[0] in NUMBER_OF
