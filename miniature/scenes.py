"""Draws random scenes of the drawn world, with places, for training and for evaluation."""

from __future__ import annotations

import random

from underpaint.miniature.world import CELLS, Cell, vocabulary
from underpaint.schemas.scenes.scene import PLACE, SPATIAL, Relation, SceneGraph, SceneObject
from underpaint.stages.planning.layout import placement

# Two equal objects always share a row or a column, so that a phrase can say where they are.
PAIRS = {
    "at the top": [(0, 0), (1, 0)], "at the bottom": [(0, 1), (1, 1)],
    "on the left": [(0, 0), (0, 1)], "on the right": [(1, 0), (1, 1)],
}  # fmt: skip
COUNTS = ((1,), (1, 1), (1, 1, 1), (1, 1, 1, 1), (2,), (2, 1), (2, 1, 1), (2, 2), (3,), (3, 1), (4,))
WEIGHTS = (3, 4, 4, 3, 1.5, 2, 1.5, 1, 1, 1, 0.5)


class HeldOut(random.Random):
    """A generator for evaluations: with it, all scenes are from the sixteenth that no training ever sees."""


def is_held_out(scene: SceneGraph) -> bool:
    """Whether a scene is kept for evaluation; the places of its objects do not matter."""
    return int(scene.without(PLACE).key(), 16) % 16 == 0


def random_scene(rng: random.Random, counts: tuple[int, ...] | None = None, relations: bool = True) -> SceneGraph:
    """A random scene in which no two nodes share both noun and colour. Nodes of one or two objects have a place.

    `counts` is the count of each node, at most four in all. Relations hold between single objects.
    """
    while True:
        scene = _draw(rng, counts, relations)
        if is_held_out(scene) == isinstance(rng, HeldOut):
            return scene


def _draw(rng: random.Random, counts: tuple[int, ...] | None, relations: bool) -> SceneGraph:
    words = vocabulary()
    if counts is None:
        counts = rng.choices(COUNTS, WEIGHTS)[0]
    free: set[Cell] = set(CELLS)
    nodes: list[SceneObject] = []
    looks: set[tuple[str, str]] = set()
    nouns = list(words.nouns)
    for i, count in enumerate(sorted(counts, reverse=True)):
        again = nodes and rng.random() < 0.15  # the same noun in two colours, as in prompts for colour attribution
        noun, colour = nodes[-1].noun if again else rng.choice(nouns), rng.choice(words.attributes["colour"])
        while (noun, colour) in looks:
            noun, colour = rng.choice(nouns), rng.choice(words.attributes["colour"])
        looks.add((noun, colour))
        node = SceneObject(id=f"o{i}", noun=noun, attributes={"colour": colour}, count=count)
        if count == 1:
            cell = rng.choice(sorted(free))
            free.remove(cell)
            node = node.with_attribute(PLACE, CELLS[cell])
        elif count == 2:
            place = rng.choice([p for p, cells in PAIRS.items() if free.issuperset(cells)])
            free.difference_update(PAIRS[place])
            node = node.with_attribute(PLACE, place)
        elif count == 3 and len(counts) > 1:
            cell = rng.choice(sorted(free))  # the cell kept for the fourth, single object
            free = {cell}
        nodes.append(node)
    rng.shuffle(nodes)
    graph = SceneGraph(objects=tuple(nodes), background=rng.choice(words.backgrounds))
    return graph.model_copy(update={"relations": _true_relations(graph, rng)}) if relations else graph


def _true_relations(graph: SceneGraph, rng: random.Random) -> tuple[Relation, ...]:
    """At most one relation for each single object after the first, in a random direction, all true of the places."""
    singles = [o for o in graph.objects if o.count == 1]
    found = []
    for i, node in enumerate(singles[1:], 1):
        if rng.random() < 0.3:
            continue
        anchor = rng.choice(singles[:i])
        both = [Relation(subject=node.id, predicate=p, object=anchor.id) for p in SPATIAL]
        found.append(rng.choice([r for r in both if placement(r, graph)]))
    return tuple(found)
