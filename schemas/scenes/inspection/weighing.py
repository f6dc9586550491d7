"""How an observed item is weighed, by itself: the words that follow its name, on both sides."""

from __future__ import annotations

import re
from collections.abc import Iterable

from underpaint.schemas.scenes.compare import Kind, compare, match
from underpaint.schemas.scenes.grammar import article, definite, indefinite
from underpaint.schemas.scenes.scene import SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary

AS_ASKED, NOT_ASKED, NOT_SO = ": as asked", ": not asked for", ": not so"
TO_COME, NOT_THERE = ": still to come", ": missing"

_WEIGHED = re.compile(f"({AS_ASKED}|{NOT_ASKED}|: asked (is|are) .*)$")  # what may follow the name of a thing seen


def seen_items(observed: Iterable[str]) -> list[str]:
    """What a judge says that it saw, without how it weighed each, and without what it says is not there or not so."""
    return [_WEIGHED.sub("", item) for item in observed if not item.endswith((NOT_SO, TO_COME, NOT_THERE))]


def as_asked(node: SceneObject, wanted: SceneObject) -> bool:
    """Whether a node is what the full scene wants of it; what that leaves open may be anything."""
    return node.count == wanted.count and all(node.attributes.get(k, v) == v for k, v in wanted.attributes.items())


def how_asked(wanted: SceneObject | None, right: bool, vocabulary: Vocabulary) -> str:
    """What an observed object is followed by; `wanted` is its counterpart, None where there is none."""
    if wanted is None:
        return NOT_ASKED
    be = "is" if wanted.count == 1 else "are"
    return AS_ASKED if right else f": asked {be} {indefinite(wanted, vocabulary)}"


def background_weighed(scene: SceneGraph, wanted: SceneGraph) -> list[str]:
    """One item, none where the scene has no background."""
    asked = wanted.background in ("", scene.background)
    how = AS_ASKED if asked else f": asked is {article(wanted.background)} background"
    return [f"{article(scene.background)} background{how}"] if scene.background else []


def relations_weighed(scene: SceneGraph, prompt: SceneGraph, vocabulary: Vocabulary) -> list[tuple[str, bool]]:
    """The prompt's relations as it words them, and whether they hold; those the scene leaves open are left out."""
    present = {theirs.id for _, theirs in match(scene.objects, prompt.objects) if theirs is not None}
    differences = compare(scene, prompt).differences
    verdicts = {
        (d.wanted.id, d.expected, d.other.id): d.kind for d in differences if d.wanted and d.other and d.expected
    }
    found = []
    for r in prompt.relations:
        if not {r.subject, r.object} <= present:
            continue
        c = r.canonical()
        kind = verdicts.get((c.subject, c.predicate, c.object))
        if kind is not Kind.MISSING_DETAIL:
            subject, object = prompt.node(r.subject), prompt.node(r.object)
            be = "is" if subject.count == 1 else "are"
            text = f"{definite(subject, vocabulary)} {be} {r.predicate} {definite(object, vocabulary)}"
            found.append((text, kind is None))
    return found
