"""plan: an ordered chain of growing scenes → steps with instruction and description; some take a detour.

Each step's scene is what the picture should show after it. A detour (paint it green and later make it red;
paint a cup and later replace it; paint something unwanted and later remove it) ends in the same scene.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from pydantic import Field

from schemas import tables
from schemas.edit import Edit, Op, apply, instruct
from schemas.grammar import describe
from schemas.scene import PLACE, PLACES, Relation, SceneGraph, SceneObject
from schemas.vocabulary import Vocabulary
from stages.layout import NoLayout, lay_out, within
from stages.stage import Context, Ledger, Outcome, Params, Stage, outcome

INVERSE_WORDS = {
    "to the left of": "to the right of", "to the right of": "to the left of", "above": "below", "below": "above",
}  # fmt: skip


Detour = Literal["modify", "swap", "remove"]


class PlanParams(Params):
    """`detours` are relative weights; a plan takes at most one, with probability `detour_share`."""

    detour_share: float = Field(default=0.35, ge=0, le=1)
    detours: dict[Detour, float] = Field(default={"modify": 1.0, "swap": 1.0, "remove": 1.0}, min_length=1)
    background_first: float = Field(default=0.15, ge=0, le=1, description="share of plans that begin with it alone")
    max_pictures: int = Field(default=5, ge=1, le=5)


@dataclass(frozen=True)
class PlannedStep:
    edit: Edit
    before: SceneGraph
    scene: SceneGraph
    detour: str = ""


class NoPlan(ValueError):
    """The scene has no layout on which all of its relations hold, or needs more pictures than allowed."""


def plan(scene: SceneGraph, rng: random.Random, vocabulary: Vocabulary, params: PlanParams) -> list[PlannedStep]:
    """The steps that lead from the blank canvas to the scene, laid out. Raises NoPlan."""
    try:
        goal = lay_out(scene, rng, vocabulary)
    except NoLayout as e:
        raise NoPlan(str(e)) from None
    order = list(goal.objects)
    rng.shuffle(order)
    order.sort(key=lambda o: -o.count)  # what takes the most room is painted first
    room = params.max_pictures - len(order)
    if room < 0:
        raise NoPlan(f"{len(order)} steps are more than {params.max_pictures} pictures")
    detour: Detour | None = None
    if rng.random() < params.detour_share:
        detour = rng.choices(list(params.detours), list(params.detours.values()))[0]
        pictures = 2 if detour == "remove" else 1
        detour = detour if pictures <= room else None
        room -= pictures if detour else 0
    alone = bool(goal.background) and room > 0 and rng.random() < params.background_first
    steps = _chain(goal, order, alone)
    if detour is not None:
        steps = _detour(steps, goal, detour, rng, vocabulary)
    final = steps[-1].scene
    if final.key() != goal.key():
        raise AssertionError(f"a {detour} detour ends in another scene: {final} is not {goal}")
    return steps


def _chain(goal: SceneGraph, order: list[SceneObject], background_alone: bool) -> list[PlannedStep]:
    painted: list[str] = []
    scenes = [goal.restrict([])] if background_alone else []
    for node in order:
        painted.append(node.id)
        scenes.append(_ordered(goal, painted))
    edits = [Edit(op=Op.PAINT, scene=scenes[0])]
    for scene in scenes[1:]:
        node = scene.objects[-1]
        edits.append(Edit(op=Op.ADD, node=node, relations=_told_from(node, scene)))
    befores = [SceneGraph(), *scenes]
    return [PlannedStep(e, b, s) for e, b, s in zip(edits, befores, scenes, strict=False)]


def _ordered(goal: SceneGraph, ids: list[str]) -> SceneGraph:
    """The goal restricted to `ids`, its objects in the order in which they were painted."""
    part = goal.restrict(ids)
    return part.model_copy(update={"objects": tuple(part.node(i) for i in ids)})


def _told_from(node: SceneObject, scene: SceneGraph) -> tuple[Relation, ...]:
    """The relations of a new node, each told from its side ("the car is left of the house")."""
    found = []
    for r in scene.relations:
        if r.subject == node.id:
            found.append(r)
        elif r.object == node.id and r.predicate in INVERSE_WORDS:
            found.append(Relation(subject=node.id, predicate=INVERSE_WORDS[r.predicate], object=r.subject))
    return tuple(found)


def _detour(
    steps: list[PlannedStep], goal: SceneGraph, kind: str, rng: random.Random, vocabulary: Vocabulary
) -> list[PlannedStep]:
    """Rebuild the chain with one detour. The steps come back unchanged where the scene leaves no room for it."""
    nodes = [s.scene.objects[-1] for s in steps if s.scene.objects]
    if kind == "remove":
        return _unwanted(steps, goal, rng, vocabulary)
    node = rng.choice(nodes)
    stand_in = _stand_in(node, goal, rng, vocabulary, keep_noun=kind == "modify")
    if stand_in is None:
        return steps
    start = next(i for i, s in enumerate(steps) if any(o.id == node.id for o in s.scene.objects))
    end = rng.randint(start + 1, len(steps))  # the mending step comes before step `end` of the plain chain
    mend = Edit(op=Op.MODIFY if kind == "modify" else Op.SWAP, target=node.id, node=node)
    rebuilt: list[PlannedStep] = []
    for i, step in enumerate(steps):
        if i == end:
            rebuilt.append(_mending(rebuilt[-1].scene, mend, goal, kind))
        if start <= i < end:
            scene = _with_stand_in(step.scene, stand_in, keep_relations=kind == "modify")
            before = rebuilt[-1].scene if rebuilt else SceneGraph()
            rebuilt.append(PlannedStep(_edit_towards(step, scene), before, scene, kind if i == start else ""))
        else:
            rebuilt.append(PlannedStep(step.edit, rebuilt[-1].scene if rebuilt else SceneGraph(), step.scene))
    if end == len(steps):
        rebuilt.append(_mending(rebuilt[-1].scene, mend, goal, kind))
    return rebuilt


def _mending(before: SceneGraph, mend: Edit, goal: SceneGraph, kind: str) -> PlannedStep:
    scene = apply(before, mend)
    ids = {o.id for o in scene.objects}
    relations = tuple(r for r in goal.relations if {r.subject, r.object} <= ids)
    return PlannedStep(mend, before, scene.model_copy(update={"relations": relations}), kind)


def _with_stand_in(scene: SceneGraph, stand_in: SceneObject, keep_relations: bool) -> SceneGraph:
    relations = scene.relations
    if not keep_relations:  # "the car is left of the house" is not said of the fish that stands in for the car
        relations = tuple(r for r in relations if stand_in.id not in (r.subject, r.object))
    return scene.replace_node(stand_in).model_copy(update={"relations": relations})


def _edit_towards(step: PlannedStep, scene: SceneGraph) -> Edit:
    """The step's edit, retold for the scene with the stand-in."""
    if step.edit.op is Op.PAINT:
        return Edit(op=Op.PAINT, scene=scene)
    node = scene.objects[-1]
    return Edit(op=Op.ADD, node=node, relations=_told_from(node, scene))


def _stand_in(
    node: SceneObject, goal: SceneGraph, rng: random.Random, vocabulary: Vocabulary, keep_noun: bool
) -> SceneObject | None:
    """A node that looks like no other: another attribute (modify), or another noun as well (swap)."""
    looks = {(o.noun, tuple(sorted(o.without(PLACE).attributes.items()))) for o in goal.objects}
    kinds = [k for k in vocabulary.attributes if k != PLACE and k in node.attributes]
    for _ in range(50):
        noun = node.noun if keep_noun else rng.choice(list(vocabulary.nouns))
        attributes = dict(node.attributes)
        if kinds:
            kind = rng.choice(kinds)
            attributes[kind] = rng.choice(vocabulary.attributes[kind])
        new = node.model_copy(update={"noun": noun, "attributes": attributes})
        other_noun = noun != node.noun
        if (noun, tuple(sorted(new.without(PLACE).attributes.items()))) not in looks and other_noun != keep_noun:
            return new
    return None


def _unwanted(
    steps: list[PlannedStep], goal: SceneGraph, rng: random.Random, vocabulary: Vocabulary
) -> list[PlannedStep]:
    """Something nobody asked for joins after one step and goes before a later one, on a corner left free."""
    corners = [p for p in vocabulary.attributes.get(PLACE, ()) if None not in PLACES.get(p, (None, None))]
    count = sum(o.count for o in goal.objects)
    taken = {c for o in goal.objects for c in corners if PLACE in o.attributes and within(c, o.attributes[PLACE])}
    free = [c for c in corners if c not in taken]
    if (corners and (count >= len(corners) or not free)) or any(o.count == 3 for o in goal.objects):
        return steps
    pattern = goal.objects[0].model_copy(update={"id": "unwanted", "count": 1})
    place = {PLACE: rng.choice(free)} if free else {}
    pattern = pattern.model_copy(update={"attributes": {**pattern.without(PLACE).attributes, **place}})
    extra = _stand_in(pattern, goal, rng, vocabulary, keep_noun=False)
    if extra is None:
        return steps
    start = rng.randrange(len(steps))
    rebuilt: list[PlannedStep] = []
    end = rng.randint(start + 1, len(steps))
    for i, step in enumerate(steps):
        before = rebuilt[-1].scene if rebuilt else SceneGraph()
        if i == end:
            rebuilt.append(_removal(before, extra.id))
            before = rebuilt[-1].scene
        scene = step.scene
        if start < i < end:
            scene = scene.model_copy(update={"objects": (extra, *scene.objects)})
        rebuilt.append(PlannedStep(step.edit, before, scene))
        if i == start:
            joined = apply(scene, Edit(op=Op.ADD, node=extra))
            rebuilt.append(PlannedStep(Edit(op=Op.ADD, node=extra), scene, joined, "remove"))
    if end == len(steps):
        rebuilt.append(_removal(rebuilt[-1].scene, extra.id))
    return rebuilt


def _removal(before: SceneGraph, id: str) -> PlannedStep:
    edit = Edit(op=Op.REMOVE, target=id)
    return PlannedStep(edit, before, apply(before, edit), "remove")


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    ledger, rows = Ledger(), []
    words = context.vocabulary
    for row in inputs["prompts"].to_pylist():
        ledger.enter()
        try:
            scene = SceneGraph.model_validate_json(row["scene"])
            steps = plan(scene, context.random_for(row["sample"]), words, context.params)
        except NoPlan as e:
            ledger.reject(str(e))
            continue
        ledger.keep()
        rows += [
            {
                "sample": row["sample"],
                "step": i,
                "steps": len(steps),
                "op": step.edit.op.value,
                "detour": step.detour,
                "instruction": instruct(step.before, step.edit, words),
                "description": describe(step.scene, words),
                "scene": step.scene.model_dump_json(),
            }
            for i, step in enumerate(steps, 1)
        ]
    return outcome(tables.PLAN, rows, ledger)


STAGE = Stage("plan", "prompts", ("prompts",), tables.PLAN, PlanParams, run, key=("sample",))
