"""A painter that takes colours for one another: it draws with the miniature world, now and then in a wrong colour."""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image

from underpaint.miniature import world
from underpaint.schemas.scenes.grammar import read
from underpaint.stages.common.roles import PaintRequest


class ColourBlindPainter:
    """Draws what a step's description says; in a share `errs` of the steps its newest object in another colour."""

    def __init__(self, errs: float) -> None:
        self.errs = errs

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        """One RGB picture of 64 x 64 pixels a request. Raises GrammarError where a description is not the grammar's."""
        return [self._paint(request) for request in requests]

    def _paint(self, request: PaintRequest) -> Image.Image:
        scene = read(request.description, world.vocabulary())
        # Only the request's seed decides: whatever it is batched with, and in every build, a step is painted the same.
        rng = random.Random(request.seed)
        if scene.objects and rng.random() < self.errs:
            newest = scene.objects[-1]
            others = [c for c in world.vocabulary().attributes["colour"] if c != newest.attributes.get("colour")]
            wrong = newest.with_attribute("colour", rng.choice(others))
            scene = scene.model_copy(update={"objects": (*scene.objects[:-1], wrong)})
        return world.render(scene)
