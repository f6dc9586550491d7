"""prompts: scene graphs and prompts, in set shares of GenEval's categories, from a vocabulary."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Mapping

import pyarrow as pa
from pydantic import Field, field_validator

from schemas import tables
from schemas.grammar import describe
from schemas.scene import PLACE, Relation, SceneGraph, SceneObject
from schemas.vocabulary import Vocabulary
from stages.layout import NoLayout, lay_out
from stages.stage import Context, Ledger, Outcome, Params, Stage, outcome

# category → how many nodes, how many relations, whether one node counts several
CATEGORIES: dict[str, tuple[tuple[int, int], int, bool]] = {
    "single_object": ((1, 1), 0, False),
    "two_objects": ((2, 2), 0, False),
    "counting": ((1, 2), 0, True),
    "position": ((2, 2), 1, False),
    "colour_attribution": ((2, 3), 0, False),  # one noun twice, told apart by its attributes
    "composition": ((3, 4), 2, False),
}


class PromptParams(Params):
    """`shares` are relative weights of the categories; `capacity` is how many objects a picture holds."""

    shares: dict[str, float] = Field(default_factory=lambda: dict.fromkeys(CATEGORIES, 1.0), min_length=1)
    capacity: int = Field(default=4, ge=2, le=10)

    @field_validator("shares")
    @classmethod
    def _known(cls, shares: dict[str, float]) -> dict[str, float]:
        for category, share in shares.items():
            if category not in CATEGORIES:
                raise ValueError(f"unknown category {category!r}; there are {', '.join(CATEGORIES)}")
            if share < 0:
                raise ValueError(f"the share of {category!r} is negative")
        if sum(shares.values()) == 0:
            raise ValueError("all shares are 0")
        return shares


def compose(rng: random.Random, category: str, vocabulary: Vocabulary, capacity: int) -> SceneGraph:
    """A random scene graph of a category; no two nodes look alike. Relations hold between single objects."""
    (least, most), relations, several = CATEGORIES[category]
    count = rng.randint(2, capacity) if several else 1
    nodes: list[SceneObject] = []
    looks: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    number = min(rng.randint(least, most), capacity - count + 1)
    shared = rng.choice(list(vocabulary.nouns)) if category == "colour_attribution" else None
    while len(nodes) < number:
        noun = shared if shared and len(nodes) < 2 else rng.choice(list(vocabulary.nouns))
        kinds = [(k, v) for k, v in vocabulary.attributes.items() if k != PLACE]
        attributes = {kind: rng.choice(values) for kind, values in kinds}
        look = (noun, tuple(sorted(attributes.items())))
        if look not in looks:
            looks.add(look)
            nodes.append(
                SceneObject(id=f"o{len(nodes)}", noun=noun, attributes=attributes, count=1 if nodes else count)
            )
    return SceneGraph(
        objects=tuple(nodes),
        relations=_chain(rng, nodes, min(relations, number - 1), vocabulary),
        background=rng.choice(vocabulary.backgrounds) if vocabulary.backgrounds else "",
    )


def _paintable(rng: random.Random, category: str, vocabulary: Vocabulary, capacity: int) -> SceneGraph | None:
    """A scene that fits its picture: drawn again where no layout makes all relations true (three above each other)."""
    for _ in range(20):
        scene = compose(rng, category, vocabulary, capacity)
        with contextlib.suppress(NoLayout):
            lay_out(scene, rng, vocabulary)
            return scene
    return None


def _chain(rng: random.Random, nodes: list[SceneObject], n: int, vocabulary: Vocabulary) -> tuple[Relation, ...]:
    """`n` relations, each from a later node to the one before it, so that no circle can arise."""
    ends = [i for i in range(1, len(nodes)) if nodes[i].count == nodes[i - 1].count == 1]
    return tuple(
        Relation(subject=nodes[i].id, predicate=rng.choice(vocabulary.relations), object=nodes[i - 1].id)
        for i in sorted(rng.sample(ends, min(n, len(ends))))
    )


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    params: PromptParams = context.params
    ledger, rows = Ledger(), []
    for sample in range(context.lot.start, context.lot.start + context.lot.size):
        rng = context.random_for(sample)
        category = rng.choices(list(params.shares), list(params.shares.values()))[0]
        ledger.enter()
        scene = _paintable(rng, category, context.vocabulary, params.capacity)
        if scene is None:
            ledger.reject("no layout on which all relations hold")
            continue
        ledger.keep()
        text = describe(scene, context.vocabulary)
        rows.append({"sample": sample, "category": category, "prompt": text, "scene": scene.model_dump_json()})
    return outcome(tables.PROMPTS, rows, ledger)


STAGE = Stage("prompts", "prompts", (), tables.PROMPTS, PromptParams, run)
