"""Weighs observed items one by one: the words after an item's name that say whether it is as asked; both sides."""

from __future__ import annotations

import re
from collections.abc import Iterable

from underpaint.schemas.scenes.compare import FaultKind, compare, match
from underpaint.schemas.scenes.grammar import article, indefinite, related
from underpaint.schemas.scenes.scene import SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary

AS_ASKED, NOT_ASKED, NOT_SO = ": as asked", ": not asked for", ": not so"
TO_COME, NOT_THERE = ": still to come", ": missing"

_WEIGHED = re.compile(f"({AS_ASKED}|{NOT_ASKED}|: asked (is|are) .*)$")  # what may follow the name of a seen object


def seen_items(observed: Iterable[str]) -> list[str]:
    """The names of what a judge saw, without the words that weigh them; items missing or not so are left out."""
    return [_WEIGHED.sub("", item) for item in observed if not item.endswith((NOT_SO, TO_COME, NOT_THERE))]


def as_asked(node: SceneObject, wanted: SceneObject) -> bool:
    """Whether a node has the count and attributes of its counterpart; attributes it lacks itself count as right."""
    return wanted.counts_as(node.count) and all(node.attributes.get(k, v) == v for k, v in wanted.attributes.items())


def how_asked(wanted: SceneObject | None, right: bool, vocabulary: Vocabulary) -> str:
    """The words after an observed object's name; `wanted` is its counterpart, None where there is none."""
    if wanted is None:
        return NOT_ASKED
    be = "is" if wanted.count == 1 else "are"
    return AS_ASKED if right else f": asked {be} {indefinite(wanted, vocabulary)}"


def background_weighed(scene: SceneGraph, wanted: SceneGraph) -> list[str]:
    """The item for the scene's background, in a list; [] where it has none."""
    asked = wanted.background in ("", scene.background)
    how = AS_ASKED if asked else f": asked is {article(wanted.background)} background"
    return [f"{article(scene.background)} background{how}"] if scene.background else []


def relations_weighed(scene: SceneGraph, prompt: SceneGraph, vocabulary: Vocabulary) -> list[tuple[str, bool]]:
    """(relation in words, whether it holds) for the prompt's relations; those the scene leaves open are left out."""
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
        if kind is not FaultKind.MISSING_DETAIL:
            subject, object = prompt.node(r.subject), prompt.node(r.object)
            found.append((related(subject, r.predicate, object, vocabulary), kind is None))
    return found
