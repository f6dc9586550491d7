"""Composes random scene graphs from a vocabulary: GenEval's six categories, and compositions of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from underpaint.schemas.scenes.scene import PLACE, Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary

# The chance that a composition has a counted node, two nodes of one noun, and that each of its nodes has attributes.
COUNTING, TWINS, COLOURED = 0.4, 0.3, 0.7
TRIES = 1000


class TooFewWords(ValueError):
    """The vocabulary has too few words to compose a scene of the category."""


@dataclass(frozen=True)
class Category:
    """What a prompt of this category asks for: the range of its number of nodes, and its number of relations."""

    nodes: tuple[int, int]
    relations: int = 0
    several: bool = False  # whether one node has a count above one
    attributes: bool = False  # whether the category is about attributes


# GenEval's (single object, two object, counting, colors, position, color attribution), then compositions of them.
CATEGORIES: dict[str, Category] = {
    "single_object": Category((1, 1)),
    "two_objects": Category((2, 2)),
    "counting": Category((1, 1), several=True),
    "colours": Category((1, 1), attributes=True),
    "position": Category((2, 2), relations=1),
    "colour_attribution": Category((2, 2), attributes=True),
    "composition": Category((3, 5), relations=2, attributes=True),
}


def compose(
    rng: random.Random, category: str, vocabulary: Vocabulary, capacity: int, attributes: str = "always"
) -> SceneGraph:
    """A random scene graph of a category with at most `capacity` objects; no two nodes look alike.

    `attributes` "always" gives every object one value of each kind, whatever the category; "asked" only where the
    category is about them, as in GenEval. Relations hold between single objects.
    """
    asked = CATEGORIES[category]
    number = rng.randint(*(min(n, capacity) for n in asked.nodes))
    several = asked.several or (category == "composition" and capacity > number and rng.random() < COUNTING)
    count = rng.randint(2, capacity - number + 1) if several else 1
    nodes = _nodes(rng, category, vocabulary, number, count, always=attributes == "always")
    return SceneGraph(
        objects=nodes,
        relations=_chain(rng, nodes, min(asked.relations, number - 1), vocabulary),
        background=rng.choice(vocabulary.backgrounds) if vocabulary.backgrounds else "",
    )


def _nodes(
    rng: random.Random, category: str, vocabulary: Vocabulary, number: int, count: int, always: bool
) -> tuple[SceneObject, ...]:
    """So many nodes, the first of which counts `count`; `always` gives each a value of every kind of attribute."""
    about, mixed, paired = CATEGORIES[category].attributes, category == "composition", category == "colour_attribution"
    # Of one noun twice, only the attributes tell which is which: the hardest attribution. GenEval's has two nouns.
    twins = rng.random() < TWINS if mixed else paired and always
    coloured = [n for n in vocabulary.nouns if n not in vocabulary.plain]
    nouns = coloured if about and not mixed else list(vocabulary.nouns)
    shared = rng.choice(coloured) if twins and coloured else None
    nodes: list[SceneObject] = []
    for _ in range(TRIES):
        noun = shared if shared and len(nodes) < 2 else rng.choice(nouns)
        values: dict[str, str] = {}
        if (always or (about and (not mixed or noun == shared or rng.random() < COLOURED))) and noun in coloured:
            values = {kind: rng.choice(v) for kind, v in vocabulary.attributes.items() if kind != PLACE}
        new = SceneObject(id=f"o{len(nodes)}", noun=noun, attributes=values, count=1 if nodes else count)
        same_colours = paired and any(o.attributes == values for o in nodes)
        if not same_colours and not any(confusable(new, old) for old in nodes):
            nodes.append(new)
        if len(nodes) == number:
            return tuple(nodes)
    raise TooFewWords(f"the vocabulary has too few nouns or attributes for the category {category!r}")


def confusable(a: SceneObject, b: SceneObject) -> bool:
    """Whether two nodes of one noun cannot be told apart: equal attributes, or one has none ("a dog and a red dog")."""
    looks = [o.without(PLACE).attributes for o in (a, b)]
    return a.noun == b.noun and (looks[0] == looks[1] or not all(looks))


def _chain(rng: random.Random, nodes: Sequence[SceneObject], n: int, vocabulary: Vocabulary) -> tuple[Relation, ...]:
    """Up to `n` relations, each from a node to the one before it, so that no circle can arise."""
    ends = [i for i in range(1, len(nodes)) if nodes[i].count == nodes[i - 1].count == 1]
    return tuple(
        Relation(subject=nodes[i].id, predicate=rng.choice(vocabulary.relations), object=nodes[i - 1].id)
        for i in sorted(rng.sample(ends, min(n, len(ends))))
    )


def categorise(scene: SceneGraph) -> str:
    """The category of a prompt's scene. A scene that fits no single category is a composition."""
    nodes = scene.objects
    told = [bool(o.without(PLACE).attributes) for o in nodes]
    if len(nodes) == 1:
        if nodes[0].count > 1:
            return "composition" if told[0] else "counting"
        return "colours" if told[0] else "single_object"
    if len(nodes) == 2 and all(o.count == 1 for o in nodes):
        if scene.relations:
            return "composition" if any(told) else "position"
        if not any(told):
            return "two_objects"
        return "colour_attribution"
    return "composition"
