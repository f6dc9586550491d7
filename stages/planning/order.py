"""Orders a scene's objects for painting: large ones first; each relation is told when its second object is added."""

from __future__ import annotations

import random

from underpaint.schemas.scenes.scene import OPPOSITE, Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.planning.layout import placement

SIZE_WORDS = {"huge": 3.0, "giant": 3.0, "large": 2.0, "big": 2.0, "small": 0.5, "little": 0.5, "tiny": 0.3}
TRIES = 20_000  # how many partial orders are tried before a scene is given up


class NoOrder(ValueError):
    """In every order some object is added with more relations than one instruction can tell."""


def extent(node: SceneObject, vocabulary: Vocabulary) -> float:
    """Roughly how much of the picture a node takes, from its noun's size, its adjectives and its count (no unit)."""
    adjectives = [SIZE_WORDS.get(value, 1.0) for value in node.attributes.values()]
    return float(vocabulary.sizes.get(node.noun, 1.0) * max(adjectives, default=1.0) * node.count**0.5)


def told_from(node: SceneObject, scene: SceneGraph) -> tuple[Relation, ...]:
    """The relations of a new node, each with the node as its subject; those that places do not show come first."""
    mine = (r.told_from(node.id) for r in scene.relations if node.id in (r.subject, r.object))
    return tuple(sorted((r for r in mine if r is not None), key=lambda r: shown_by_places(r, scene)))


def shown_by_places(relation: Relation, scene: SceneGraph) -> bool:
    """Whether the places of both objects already show the relation, so that an instruction need not tell it."""
    return placement(relation, scene) is True


def paint_order(goal: SceneGraph, rng: random.Random, vocabulary: Vocabulary) -> list[SceneObject]:
    """The objects ordered by size, large first and equal ones at random, such that every relation can be told.

    Raises NoOrder where no such order was found.
    """
    nodes = list(goal.objects)
    rng.shuffle(nodes)
    nodes.sort(key=lambda o: -extent(o, vocabulary))
    untold = [r for r in goal.relations if not shown_by_places(r, goal)]
    tried = 0

    def extend(painted: list[SceneObject]) -> list[SceneObject] | None:
        nonlocal tried
        tried += 1
        if len(painted) == len(nodes):
            return painted
        for node in nodes if tried < TRIES else ():
            if node not in painted and _tellable(node, painted, untold):
                found = extend([*painted, node])
                if found is not None:
                    return found
        return None

    order = extend([])
    if order is None:
        raise NoOrder("an object joins in two relations at once, which no instruction tells")
    return order


def _tellable(node: SceneObject, painted: list[SceneObject], untold: list[Relation]) -> bool:
    """Whether one instruction can tell the node's relations to what is painted: at most one, the node as its subject.

    "Riding" has no inverse, so the horse must be painted before its rider.
    """
    there = {o.id for o in painted}
    joining = [r for r in untold if node.id in (r.subject, r.object) and {r.subject, r.object} - {node.id} <= there]
    return len(joining) <= 1 and all(r.subject == node.id or r.predicate in OPPOSITE for r in joining)


def part(scene: SceneGraph, ids: list[str]) -> SceneGraph:
    """The scene of these nodes, in this order, with the relations among them."""
    rest = scene.restrict(ids)
    return rest.model_copy(update={"objects": tuple(map(rest.node, ids))})


def first_groups(order: list[SceneObject], goal: SceneGraph) -> list[int]:
    """The numbers of objects that the first picture may hold, such that places show all relations among them."""
    found = []
    for number in range(1, len(order) + 1):
        first = goal.restrict(o.id for o in order[:number])
        if all(shown_by_places(r, goal) for r in first.relations):
            found.append(number)
    return found
