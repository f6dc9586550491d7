"""Composes random scene graphs from a vocabulary: GenEval's six categories, and compositions of them."""

from __future__ import annotations

import random
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
    kind = CATEGORIES[category]
    number = rng.randint(*(min(n, capacity) for n in kind.nodes))
    mixed = category == "composition"
    several = kind.several or (mixed and capacity > number and rng.random() < COUNTING)
    count = rng.randint(2, capacity - number + 1) if several else 1
    # Twins are two nodes of one noun: only attributes tell them apart, which is the hardest case. GenEval has no twins.
    twins = rng.random() < TWINS if mixed else category == "colour_attribution" and attributes == "always"
    nouns = [n for n in vocabulary.nouns if not (kind.attributes and not mixed and n in vocabulary.plain)]
    coloured = [n for n in nouns if n not in vocabulary.plain]
    shared = rng.choice(coloured) if twins and coloured else None
    nodes: list[SceneObject] = []
    for _ in range(TRIES):
        if len(nodes) == number:
            break
        noun = shared if shared and len(nodes) < 2 else rng.choice(nouns)
        stated = attributes == "always" or (
            kind.attributes and (not mixed or noun == shared or rng.random() < COLOURED)
        )
        values = _attributes(rng, vocabulary) if stated and noun not in vocabulary.plain else {}
        new = SceneObject(id=f"o{len(nodes)}", noun=noun, attributes=values, count=1 if nodes else count)
        same_colours = category == "colour_attribution" and any(o.attributes == values for o in nodes)
        if not same_colours and not any(confusable(new, old) for old in nodes):
            nodes.append(new)
    if len(nodes) < number:
        raise TooFewWords(f"the vocabulary has too few nouns or attributes for the category {category!r}")
    return SceneGraph(
        objects=tuple(nodes),
        relations=_chain(rng, nodes, min(kind.relations, number - 1), vocabulary),
        background=rng.choice(vocabulary.backgrounds) if vocabulary.backgrounds else "",
    )


def _attributes(rng: random.Random, vocabulary: Vocabulary) -> dict[str, str]:
    return {kind: rng.choice(values) for kind, values in vocabulary.attributes.items() if kind != PLACE}


def confusable(a: SceneObject, b: SceneObject) -> bool:
    """Whether two nodes of one noun cannot be told apart: equal attributes, or one has none ("a dog and a red dog")."""
    looks = [o.without(PLACE).attributes for o in (a, b)]
    return a.noun == b.noun and (looks[0] == looks[1] or not all(looks))


def _chain(rng: random.Random, nodes: list[SceneObject], n: int, vocabulary: Vocabulary) -> tuple[Relation, ...]:
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
