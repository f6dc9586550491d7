"""The drawn painter: renders a step's description with a world's renderer. Exact, fast, and no model at all.

It makes the structural recipe (scale tests, calibration against known truth). With a `fault_rate` it paints the
step's newest object wrongly that often, in a painter's typical ways.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from PIL import Image

from underpaint.schemas.scenes.grammar import read
from underpaint.schemas.scenes.scene import SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.common.roles import PaintRequest
from underpaint.stages.common.seeds import derive_random
from underpaint.stages.planning import planted_faults as faults


class DrawnPainter:
    """`world` is a module with ``vocabulary() -> Vocabulary`` and ``render(graph) -> Image`` (RGB).

    As a recipe's renderer it shows scenes of known truth; for that the world also has ``read_picture(picture) ->
    (objects one by one with their places, background)``.
    """

    def __init__(self, world: str, *, fault_rate: float = 0.0) -> None:
        self.world: Any = import_module(world)
        self.fault_rate = fault_rate

    @property
    def vocabulary(self) -> Vocabulary:
        words: Vocabulary = self.world.vocabulary()
        return words

    def render(self, scene: SceneGraph) -> Image.Image:
        """Raises ValueError where the scene does not fit the picture."""
        picture: Image.Image = self.world.render(scene)
        return picture

    def read(self, picture: Image.Image) -> tuple[list[SceneObject], str]:
        """What a picture that it rendered shows: the objects one by one, with their places, and the background."""
        seen: tuple[list[SceneObject], str] = self.world.read_picture(picture)
        return seen

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        """Raises schemas.scenes.grammar.GrammarError where a description is not the grammar's."""
        return [self._paint(r) for r in requests]

    def _paint(self, request: PaintRequest) -> Image.Image:
        scene = read(request.description, self.vocabulary)
        rng = derive_random("drawn", request.seed)
        if scene.objects and rng.random() < self.fault_rate:
            scene = plant_fault(scene, rng, self.vocabulary)
        return self.render(scene)


def plant_fault(scene: SceneGraph, rng: random.Random, vocabulary: Vocabulary) -> SceneGraph:
    """The scene with its newest object wrong: another attribute, another noun, or left out."""
    slips = [faults.unwanted_object, faults.missing_object]
    if faults.changeable(scene.objects[-1], vocabulary):
        slips.append(faults.wrong_attribute)
    faulty = rng.choice(slips)(scene, rng, vocabulary)
    assert faulty is not None
    return faulty
