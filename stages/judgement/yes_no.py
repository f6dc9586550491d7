"""Makes yes/no questions about a picture from its description, where the grammar can read it, as DSG does.

Every question holds exactly if the picture shows what the description says, so each "no" is a finding of its kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.grammar import GrammarError, definite, indefinite, read
from underpaint.schemas.scenes.scene import PLACE, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary


def questions_about(description: str, vocabulary: Vocabulary) -> str:
    """The questions, one a line as ``kind: question``; "" where the grammar cannot read the description."""
    try:
        scene = read(description, vocabulary)
    except GrammarError:
        return ""
    return "\n".join(f"{kind}: {question}" for kind, question in _questions(scene, vocabulary))


def _questions(scene: SceneGraph, words: Vocabulary) -> Iterator[tuple[FaultKind, str]]:
    nouns = Counter(o.noun for o in scene.objects)
    for node in scene.objects:
        yield from _about(node, nouns[node.noun] == 1, words)
    for r in scene.relations:
        ends = [definite(scene.node(id), words) for id in (r.subject, r.object)]
        are = "Is" if scene.node(r.subject).count == 1 else "Are"
        yield FaultKind.WRONG_RELATION, f"{are} {ends[0]} {r.predicate} {ends[1]}?"
    if scene.background:
        yield FaultKind.WRONG_BACKGROUND, f"Is the background {scene.background}?"
    yield FaultKind.UNWANTED_OBJECT, "Does the picture show only the objects that the description names?"


def _about(node: SceneObject, alone: bool, words: Vocabulary) -> Iterator[tuple[FaultKind, str]]:
    """Of an object whose noun no other has, each attribute is asked for apart; else all in one question."""
    one = node.model_copy(update={"count": 1})
    if not alone:
        are = "Is" if node.count == 1 else "Are"
        yield FaultKind.MISSING_OBJECT, f"{are} there {indefinite(node, words)}?"
        return
    bare = one.model_copy(update={"attributes": {}})
    yield FaultKind.MISSING_OBJECT, f"Is there {indefinite(bare, words)}?"
    whole = bare.model_copy(update={"count": node.count})
    if node.count > 1:
        exactly = indefinite(whole, words)
        yield FaultKind.WRONG_COUNT, f"Are there exactly {exactly}, no more and no fewer?"
    are = "Is" if node.count == 1 else "Are"
    for _, value in sorted(node.attributes.items(), key=lambda item: item[0] == PLACE):
        yield FaultKind.WRONG_ATTRIBUTE, f"{are} {definite(whole, words)} {value}?"
