"""The drawn painter: renders a step's description with a world's renderer; exact, fast, and without a model.

The structural recipe uses it for scale tests and for calibration against known truth. With a `fault_rate` above 0 it
paints the newest object of that share of its pictures wrongly, in ways that are typical of painters.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from PIL import Image

from underpaint.schemas.scenes.scene import SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.common.roles import PaintRequest
from underpaint.stages.common.seeds import derive_random
from underpaint.stages.models.storyteller import described_scene
from underpaint.stages.planning import planted_faults as faults


class DrawnPainter:
    """Paints. `world` is a module with ``vocabulary() -> Vocabulary`` and ``render(graph) -> Image`` (RGB).

    As a recipe's renderer it shows scenes of known truth. Then the world also needs ``read_picture(picture) ->
    (single objects with their places, background)``.
    """

    def __init__(self, world: str, *, fault_rate: float = 0.0) -> None:
        self.world: Any = import_module(world)
        self.fault_rate = fault_rate

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of the world."""
        words: Vocabulary = self.world.vocabulary()
        return words

    def render(self, scene: SceneGraph) -> Image.Image:
        """The picture of a scene (RGB). Raises ValueError where the scene does not fit the picture."""
        picture: Image.Image = self.world.render(scene)
        return picture

    def read(self, picture: Image.Image) -> tuple[list[SceneObject], str]:
        """(single objects with their places, background) of a picture that it rendered."""
        seen: tuple[list[SceneObject], str] = self.world.read_picture(picture)
        return seen

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        """One RGB picture per request, in order. Raises GrammarError where a description names nothing."""
        return [self._paint(r) for r in requests]

    def _paint(self, request: PaintRequest) -> Image.Image:
        scene = described_scene(request.description, self.vocabulary)
        rng = derive_random("drawn", request.seed)
        if scene.objects and rng.random() < self.fault_rate:
            scene = plant_fault(scene, rng, self.vocabulary)
        return self.render(scene)


def plant_fault(scene: SceneGraph, rng: random.Random, vocabulary: Vocabulary) -> SceneGraph:
    """The scene with a fault in its newest object: another attribute, another noun, or the object left out."""
    slips = [faults.unwanted_object, faults.missing_object]
    if faults.changeable(scene.objects[-1], vocabulary):
        slips.append(faults.wrong_attribute)
    faulty = rng.choice(slips)(scene, rng, vocabulary)
    assert faulty is not None
    return faulty
