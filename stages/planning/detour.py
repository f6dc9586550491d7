"""Plans detours: steps that depart from the goal and a later step that comes back. The last scene stays the same.

modify   paint it green, later make it red
swap     paint a cup, later replace it with a fish
remove   paint something that nobody asked for, later take it away
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from underpaint.schemas.scenes.edit import Edit, Op, apply
from underpaint.schemas.scenes.scene import OPPOSITE, PLACE, PLACES, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.planning.compose import confusable
from underpaint.stages.planning.layout import within
from underpaint.stages.planning.order import told_from

DetourKind = Literal["modify", "swap", "remove"]
PICTURES: dict[str, int] = {"": 0, "modify": 1, "swap": 1, "remove": 2}  # how many pictures a detour adds
TRIES = 50


@dataclass(frozen=True)
class PlannedStep:
    """One step, so one picture. `scene` is what it should show; `detour` is "" for a step of the plain chain."""

    edit: Edit
    before: SceneGraph
    scene: SceneGraph
    detour: str = ""


def take(
    steps: list[PlannedStep], goal: SceneGraph, detour: DetourKind, rng: random.Random, vocabulary: Vocabulary
) -> list[PlannedStep] | None:
    """The chain of steps with one detour added; None where the scene leaves no room for it."""
    if detour == "remove":
        return _unwanted(steps, goal, rng, vocabulary)
    return _stood_in(steps, goal, detour, rng, vocabulary)


def _stood_in(
    steps: list[PlannedStep], goal: SceneGraph, detour: str, rng: random.Random, vocabulary: Vocabulary
) -> list[PlannedStep] | None:
    """The chain in which one node is first painted as a stand-in, and an extra step later turns it into the node."""
    for node in rng.sample(goal.objects, len(goal.objects)):
        stand_in = _stand_in(node, goal, rng, vocabulary, keep_noun=detour == "modify")
        if stand_in is not None:
            break
    else:
        return None
    start = next(i for i, s in enumerate(steps) if any(o.id == node.id for o in s.scene.objects))
    end = rng.randint(start + 1, len(steps))  # the mending step comes before step `end` of the plain chain
    mend = Edit(op=Op.MODIFY if detour == "modify" else Op.SWAP, target=node.id, node=node)
    scenes = [s.scene.replace_node(stand_in) if start <= i < end else s.scene for i, s in enumerate(steps)]
    retold = [_towards(step, scene) for step, scene in zip(steps, scenes, strict=True)]
    chain = [(e, s, detour if i == start else "") for i, (e, s) in enumerate(zip(retold, scenes, strict=True))]
    return _walked([*chain[:end], (mend, None, detour), *chain[end:]])


def _walked(chain: list[tuple[Edit, SceneGraph | None, str]]) -> list[PlannedStep]:
    """Steps from (edit, the scene it leads to, detour); without a scene it is what the edit makes of the one before."""
    steps: list[PlannedStep] = []
    for edit, scene, detour in chain:
        before = steps[-1].scene if steps else SceneGraph()
        steps.append(PlannedStep(edit, before, scene or apply(before, edit), detour))
    return steps


def _towards(step: PlannedStep, scene: SceneGraph) -> Edit:
    """The edit of a step, made anew for a scene that may contain the stand-in."""
    if step.edit.op is Op.PAINT:
        return Edit(op=Op.PAINT, scene=scene)
    node = scene.objects[-1]
    return Edit(op=Op.ADD, node=node, relations=told_from(node, scene))


def _stand_in(
    node: SceneObject, goal: SceneGraph, rng: random.Random, vocabulary: Vocabulary, keep_noun: bool
) -> SceneObject | None:
    """A replacement for a node that looks like nothing else in the goal; None where there is none.

    It has another attribute (`keep_noun`, for modify), or another noun as well (for swap). It takes over the node's
    relations. So a node is not swapped unless its relations are spatial, since a cup cannot ride a horse.
    """
    kinds = [k for k in vocabulary.attributes if k != PLACE and k in node.attributes]
    odd = any(node.id in (r.subject, r.object) and r.predicate not in OPPOSITE for r in goal.relations)
    if not kinds if keep_noun else odd:
        return None
    nouns = [n for n in vocabulary.nouns if n != node.noun and not (kinds and n in vocabulary.plain)]
    for _ in range(TRIES if keep_noun or nouns else 0):
        noun = node.noun if keep_noun else rng.choice(nouns)
        attributes = dict(node.attributes)
        if kinds:
            kind = rng.choice(kinds)
            attributes[kind] = rng.choice(vocabulary.attributes[kind])
        new = node.model_copy(update={"noun": noun, "attributes": attributes})
        if not any(confusable(new, old) for old in goal.objects):
            return new
    return None


def _unwanted(
    steps: list[PlannedStep], goal: SceneGraph, rng: random.Random, vocabulary: Vocabulary
) -> list[PlannedStep] | None:
    """The chain in which an unwanted object is added on a free corner, and removed one or more steps later."""
    extra = _extra(goal, rng, vocabulary)
    if extra is None:
        return None
    start = rng.randrange(len(steps))
    end = rng.randint(start + 1, len(steps))
    join, go = Edit(op=Op.ADD, node=extra), Edit(op=Op.REMOVE, target=extra.id)
    chain: list[tuple[Edit, SceneGraph | None, str]] = []
    for i, step in enumerate(steps):
        there = start < i < end
        scene = step.scene.model_copy(update={"objects": (extra, *step.scene.objects)}) if there else step.scene
        chain.append((step.edit, scene, ""))
    chain.insert(end, (go, None, "remove"))
    chain.insert(start + 1, (join, None, "remove"))
    return _walked(chain)


def _extra(goal: SceneGraph, rng: random.Random, vocabulary: Vocabulary) -> SceneObject | None:
    """An object of another noun than the goal's first one, with the same kinds of attributes, on a free corner.

    None where no corner is free, or where the vocabulary has no words for it.
    """
    corners = [p for p in vocabulary.attributes.get(PLACE, ()) if None not in PLACES.get(p, (None, None))]
    count = sum(o.count for o in goal.objects)
    taken = {c for o in goal.objects for c in corners if PLACE in o.attributes and within(c, o.attributes[PLACE])}
    free = [c for c in corners if c not in taken]
    if corners and (count >= len(corners) or not free or any(o.count == 3 for o in goal.objects)):
        return None
    pattern = goal.objects[0].model_copy(update={"id": "unwanted", "count": 1})
    place = {PLACE: rng.choice(free)} if free else {}
    pattern = pattern.model_copy(update={"attributes": {**pattern.without(PLACE).attributes, **place}})
    return _stand_in(pattern, goal, rng, vocabulary, keep_noun=False)
