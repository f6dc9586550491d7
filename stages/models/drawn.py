"""The drawn painter: renders a step's description with a world's renderer. Exact, fast, and no model at all.

It makes the structural recipe (scale tests, calibration against known truth). With a `fault_rate` it paints the
step's newest object wrongly that often, in a painter's typical ways.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from importlib import import_module

from PIL import Image

from schemas.grammar import read
from schemas.scene import PLACE, SceneGraph
from schemas.vocabulary import Vocabulary
from stages.models.roles import PaintRequest
from stages.seeds import derive_random


class DrawnPainter:
    """`world` is a module with ``vocabulary() -> Vocabulary`` and ``render(graph) -> Image`` (RGB)."""

    def __init__(self, world: str, *, fault_rate: float = 0.0) -> None:
        self.world = import_module(world)
        self.fault_rate = fault_rate

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        """Raises schemas.grammar.GrammarError where a description is not the grammar's."""
        return [self._paint(r) for r in requests]

    def _paint(self, request: PaintRequest) -> Image.Image:
        words: Vocabulary = self.world.vocabulary()
        scene = read(request.description, words)
        rng = derive_random("drawn", request.seed)
        if scene.objects and rng.random() < self.fault_rate:
            scene = plant_fault(scene, rng, words)
        picture: Image.Image = self.world.render(scene)
        return picture


def plant_fault(scene: SceneGraph, rng: random.Random, vocabulary: Vocabulary) -> SceneGraph:
    """The scene with its newest object wrong: another attribute, another noun, or left out."""
    node = scene.objects[-1]
    kinds = [k for k in node.attributes if k != PLACE and len(vocabulary.attributes.get(k, ())) > 1]
    fault = rng.choice(["noun", "missing", *(["attribute"] if kinds else [])])
    if fault == "missing":
        return scene.restrict(o.id for o in scene.objects if o.id != node.id)
    if fault == "attribute":
        kind = rng.choice(kinds)
        others = [v for v in vocabulary.attributes[kind] if v != node.attributes[kind]]
        return scene.replace_node(node.with_attribute(kind, rng.choice(others)))
    other = rng.choice([n for n in vocabulary.nouns if n != node.noun])
    return scene.replace_node(node.model_copy(update={"noun": other}))
