"""Can the prompt still be met from a scene? Objects still missing need free places on which all relations hold."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from underpaint.schemas.scenes.compare import FaultKind, compare, match
from underpaint.schemas.scenes.scene import CORNERS, PLACE, PLACES, SceneGraph, SceneObject, lies_within, overlap
from underpaint.schemas.scenes.vocabulary import Vocabulary


def why_stuck(scene: SceneGraph, prompt: SceneGraph, vocabulary: Vocabulary) -> str:
    """Why the prompt cannot be met from `scene`; "" where it can be, or where the vocabulary has no corners."""
    corners = frozenset(p for p in vocabulary.attributes.get(PLACE, ()) if p in CORNERS)
    if not corners:
        return ""
    if any(overlap(a, b) or overlap(b, a) for a, b in combinations(scene.objects, 2)):
        return "two things in one place"
    place = {theirs.id: mine.attributes.get(PLACE) for mine, theirs in match(scene.objects, prompt.objects) if theirs}
    nodes = [o.with_attribute(PLACE, where) if (where := place.get(o.id)) else o for o in prompt.objects]
    nodes.sort(key=lambda o: (PLACE not in o.attributes, -o.count))
    for laid in _layouts(nodes, corners):
        whole = SceneGraph(objects=tuple(laid))
        if not any(d.kind is FaultKind.WRONG_RELATION for d in compare(whole, prompt).faults):
            return ""
    return "no place is left for what is still to come"


def _layouts(nodes: list[SceneObject], free: frozenset[str]) -> Iterator[list[SceneObject]]:
    """Every way to give the nodes corners and sides of their own.

    A node of count three or more gets no place, but takes as many corners as it counts.
    """
    if not nodes:
        yield []
        return
    node, rest = nodes[0], nodes[1:]
    for laid, taken in _options(node, free):
        for others in _layouts(rest, free - taken):
            yield [laid, *others]


def _options(node: SceneObject, free: frozenset[str]) -> Iterator[tuple[SceneObject, frozenset[str]]]:
    if PLACE in node.attributes:
        side = PLACES.get(node.attributes[PLACE], (None, None))
        yield node, frozenset(c for c in free if lies_within(PLACES[c], side))
    elif node.count == 1:
        for corner in sorted(free):
            yield node.with_attribute(PLACE, corner), frozenset((corner,))
    elif node.count == 2:
        for place, side in PLACES.items():
            taken = frozenset(c for c in free if lies_within(PLACES[c], side))
            if len(taken) == 2 and side.count(None) == 1:
                yield node.with_attribute(PLACE, place), taken
    elif node.count <= len(free):
        yield node, frozenset(sorted(free)[: node.count])
