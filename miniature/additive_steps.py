"""Draws random additive steps towards a scene, which the writer learns to write and the judge to judge."""

from __future__ import annotations

import random
from dataclasses import dataclass

from underpaint.miniature.scenes import random_scene
from underpaint.schemas.scenes.edit import Edit, Op
from underpaint.schemas.scenes.scene import PLACE, SceneGraph
from underpaint.stages.planning.order import part, told_from


@dataclass(frozen=True)
class AdditiveStep:
    """One additive step towards `prompt`. `edit` is None where nothing is missing."""

    prompt: SceneGraph  # with the places that the plan intends
    before: SceneGraph | None  # None is the blank canvas
    edit: Edit | None
    after: SceneGraph


def random_step(rng: random.Random, done: bool = False, several: float = 0.0) -> AdditiveStep:
    """A step of a random scene: some nodes are painted, the step adds the next. With `done`, none may be left to add.

    `several` is the share of first steps that paint more than one node.
    """
    scene, order = _planned(rng)
    k = rng.randint(0, len(order) if done else len(order) - 1)
    if k == 0 and len(order) > 1 and rng.random() < several:
        first = part(scene, order[: rng.randint(2, len(order))])
        return AdditiveStep(scene, None, Edit(op=Op.PAINT, scene=first), first)
    if k == 0:
        empty = SceneGraph(background=scene.background)
        if rng.random() < 0.1:
            return AdditiveStep(scene, None, Edit(op=Op.PAINT, scene=empty), empty)
        first = part(scene, order[:1])
        if rng.random() < 0.1:
            return AdditiveStep(scene, empty, Edit(op=Op.ADD, node=first.objects[0]), first)
        return AdditiveStep(scene, None, Edit(op=Op.PAINT, scene=first), first)
    before = part(scene, order[:k])
    if k == len(order):
        return AdditiveStep(scene, before, None, before)
    node, after = scene.node(order[k]), part(scene, order[: k + 1])
    mine = told_from(node, after)
    told = tuple(rng.sample(mine, 1)) if mine and rng.random() < 0.5 else ()
    return AdditiveStep(scene, before, Edit(op=Op.ADD, node=node, relations=told), after)


def _planned(rng: random.Random) -> tuple[SceneGraph, list[str]]:
    """A scene and the order in which its nodes are painted, which is mostly the prompt's order."""
    scene = random_scene(rng)
    order = [o.id for o in scene.objects]
    if rng.random() < 0.3:
        rng.shuffle(order)
    if scene.node(order[0]).count == 3 and len(order) == 2:  # three objects leave only the last cell
        scene = scene.replace_node(scene.node(order[1]).with_attribute(PLACE, "at the bottom right"))
    return scene, order
