"""Draws scenes and their minimal edits: texts that differ in one thing, which a scorer must tell apart."""

from __future__ import annotations

import random
from dataclasses import dataclass

from underpaint.miniature.edits import other_object
from underpaint.miniature.scenes import PAIRS, _true_relations, random_scene
from underpaint.miniature.world import CELLS, cells_of, free_cells, vocabulary
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import PLACE, SceneGraph, SceneObject

EDIT_KINDS = ("colour", "noun", "count", "place", "relation", "background", "missing")


@dataclass(frozen=True)
class ScorerCase:
    """A scene to draw and to describe."""

    graph: SceneGraph
    seed: int  # the seed of the rendering

    @property
    def text(self) -> str:
        """The scene's description."""
        return describe(self.graph, vocabulary())


def random_case(rng: random.Random) -> ScorerCase:
    """A random scene with a random seed."""
    graph = random_scene(rng)
    return ScorerCase(graph, rng.randrange(1 << 30))


def minimal_edit(rng: random.Random, case: ScorerCase, kind: str) -> ScorerCase | None:
    """The case with one thing changed and the same seed; None where this kind of change is impossible."""
    graph = _edited(rng, case.graph, kind)
    return ScorerCase(graph, case.seed) if graph is not None else None


def held_out(rng: random.Random, kind: str, n: int) -> list[tuple[ScorerCase, ScorerCase]]:
    """`n` random cases, each with a minimal edit of the kind."""
    pairs: list[tuple[ScorerCase, ScorerCase]] = []
    while len(pairs) < n:
        case = random_case(rng)
        other = minimal_edit(rng, case, kind)
        if other is not None:
            pairs.append((case, other))
    return pairs


def _edited(rng: random.Random, graph: SceneGraph, kind: str) -> SceneGraph | None:
    node = rng.choice(graph.objects)
    if kind == "background":
        back = rng.choice([b for b in vocabulary().backgrounds if b != graph.background])
        return graph.model_copy(update={"background": back})
    if kind == "colour":
        return graph.replace_node(other_object(rng, node, graph, keep_noun=True))
    if kind == "noun":
        other = other_object(rng, node, graph, keep_noun=False).model_copy(update={"attributes": node.attributes})
        if any(o.without(PLACE).label == other.without(PLACE).label for o in graph.objects):
            return None
        return graph.replace_node(other)
    if kind == "missing":
        return graph.restrict(o.id for o in graph.objects if o.id != node.id) if len(graph.objects) > 1 else None
    singles = [o for o in graph.objects if o.count == 1]
    free = free_cells(graph)
    if kind == "count":
        return _recounted(rng, graph, node, free)
    if kind == "place":
        if not singles or not free:
            return None
        moved = rng.choice(singles)
        place = CELLS[rng.choice(sorted(free))]
        return _restated(rng, graph.replace_node(moved.with_attribute(PLACE, place)))
    if len(singles) < 2:
        return None
    a, b = rng.sample(singles, 2)
    swapped = graph.replace_node(a.with_attribute(PLACE, b.attributes[PLACE]))
    return _restated(rng, swapped.replace_node(b.with_attribute(PLACE, a.attributes[PLACE])))


def _recounted(
    rng: random.Random, graph: SceneGraph, node: SceneObject, free: set[tuple[int, int]]
) -> SceneGraph | None:
    """The scene with one more or one less of a node, on the same side; None where that is impossible."""
    if node.count == 1:
        (own,) = cells_of(node.attributes[PLACE])
        rows = [p for p, cells in PAIRS.items() if own in cells and free & set(cells)]
        if not rows:
            return None
        new = node.with_attribute(PLACE, rng.choice(rows)).model_copy(update={"count": 2})
    elif node.count == 2:
        place = CELLS[rng.choice(cells_of(node.attributes[PLACE]))]
        new = node.with_attribute(PLACE, place).model_copy(update={"count": 1})
    elif len(graph.objects) > 1:
        return None
    else:
        new = node.model_copy(update={"count": {3: 4, 4: 3}[node.count]})
    return _restated(rng, graph.replace_node(new))


def _restated(rng: random.Random, graph: SceneGraph) -> SceneGraph:
    """The scene with new relations, which are true of its places."""
    return graph.model_copy(update={"relations": _true_relations(graph, rng)})
