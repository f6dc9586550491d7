"""Lays out a scene: finds places for its objects on which all of its relations hold."""

from __future__ import annotations

import random

from underpaint.schemas.scenes.compare import FaultKind, compare, placed
from underpaint.schemas.scenes.scene import PLACE, PLACES, Relation, SceneGraph, SceneObject, lies_within
from underpaint.schemas.scenes.vocabulary import Vocabulary


class NoLayout(ValueError):
    """No places were found on which all of the scene's relations hold."""


def lay_out(scene: SceneGraph, rng: random.Random, vocabulary: Vocabulary) -> SceneGraph:
    """Give every single object a corner and every pair a side, so that all relations hold. Raises NoLayout.

    Places that the scene already states are kept. If the vocabulary has no places, the scene stays as it is, unless its
    relations form a circle.
    """
    places = [p for p in vocabulary.attributes.get(PLACE, ()) if p in PLACES]
    corners = [p for p in places if None not in PLACES[p]]
    if not corners:
        if any(_circular(scene, predicate) for predicate in ("to the left of", "above")):
            raise NoLayout("no layout on which all relations hold")
        return scene
    for _ in range(200):
        free = set(corners)
        laid: list[SceneObject] = []
        for node in sorted(scene.objects, key=lambda o: (PLACE not in o.attributes, -o.count)):
            options = _options(node, places, corners, free, alone=len(scene.objects) == 1)
            if not options:
                break
            place, taken = options[rng.randrange(len(options))]
            free -= taken
            laid.append(node.with_attribute(PLACE, place) if place else node)
        else:
            by_id = {o.id: o for o in laid}
            graph = scene.model_copy(update={"objects": tuple(by_id[o.id] for o in scene.objects)})
            wrong = any(d.kind is FaultKind.WRONG_RELATION for d in compare(graph, scene).differences)
            if not wrong and _all_hold(graph):
                return graph
    raise NoLayout("no layout on which all relations hold")


def _options(
    node: SceneObject, places: list[str], corners: list[str], free: set[str], alone: bool
) -> list[tuple[str, set[str]]]:
    """Where a node may stand: (place, the corners it takes). Three objects have no place and leave one corner free."""
    if PLACE in node.attributes:
        place = node.attributes[PLACE]
        return [(place, {c for c in corners if place in PLACES and within(c, place)})]
    if node.count == 1:
        return [(c, {c}) for c in corners if c in free]
    if node.count == 2:
        sides = {p: {c for c in corners if within(c, p)} for p in places if p not in corners}
        return [(p, taken) for p, taken in sides.items() if len(taken) == 2 and taken <= free]
    if node.count > len(free):
        return []
    if alone or node.count != 3:
        return [("", set())]
    # Three objects fill the first corners. Any other object must take the last one, or they would have to move.
    return [("", set(corners[:-1]) if len(free) == len(corners) else set(free))]


def within(corner: str, side: str) -> bool:
    """Whether a corner lies within a place: "at the top left" lies within "at the top" and within "on the left"."""
    return lies_within(PLACES[corner], PLACES[side])


def free_corners(scene: SceneGraph, vocabulary: Vocabulary) -> list[str]:
    """The corners that no object's place takes. Objects without a place are taken to leave all corners free."""
    corners = [p for p in vocabulary.attributes.get(PLACE, ()) if p in PLACES and None not in PLACES[p]]
    taken = [o.attributes[PLACE] for o in scene.objects if PLACE in o.attributes]
    return [c for c in corners if not any(within(c, place) for place in taken if place in PLACES)]


def placement(relation: Relation, scene: SceneGraph) -> bool | None:
    """Whether a relation holds by the places of its two nodes; None where these do not decide it."""
    r = relation.canonical()
    return placed(scene.node(r.subject), scene.node(r.object), r.predicate)


def _all_hold(graph: SceneGraph) -> bool:
    """Whether the places decide every relation of the kinds that places can decide."""
    return all(
        placement(r, graph) is not None or r.predicate not in ("to the left of", "above")
        for r in map(Relation.canonical, graph.relations)
    )


def _circular(scene: SceneGraph, predicate: str) -> bool:
    """Whether the relations of a predicate form a circle, so that a node would stand left of (or above) itself."""
    edges = {(r.subject, r.object) for r in map(Relation.canonical, scene.relations) if r.predicate == predicate}
    left = {o.id for o in scene.objects}
    while free := {n for n in left if not any(s in left and o == n for s, o in edges)}:
        left -= free
    return bool(left)
