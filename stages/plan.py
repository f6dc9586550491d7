"""plan: turns a scene into a chain of steps with instruction and description; some chains take a detour.

Each step has the scene that its picture should show. The number of pictures is drawn. The first picture may hold only
the background, or several objects at once; every further one adds one object, or belongs to a detour.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeVar

import pyarrow as pa
from pydantic import Field

from underpaint.schemas import tables
from underpaint.schemas.scenes.edit import Edit, Op, instruct
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.schemas.scenes.wordings import reword, wordings
from underpaint.stages.common.stage import Context, Ledger, Outcome, Params, Stage, Weights, outcome
from underpaint.stages.planning.detour import PICTURES, Kind, PlannedStep, take
from underpaint.stages.planning.layout import NoLayout, lay_out
from underpaint.stages.planning.order import NoOrder, first_groups, paint_order, told_from

Pictures = Annotated[int, Field(ge=1, le=5)]  # the number of pictures of a trajectory, as in the paper
Choice = TypeVar("Choice", Kind, int)
Made = Counter[str | int]  # the lot's plans so far, by kind of detour and by number of pictures


class PlanParams(Params):
    """`pictures` are relative weights of the number of pictures, `detours` of the kinds of detour.

    Every lot keeps both, as far as its scenes have room. A plan takes at most one detour, with probability
    `detour_share`; with probability `background_first` it may begin with the background alone. `reworded` is the share
    of instructions in another wording than the grammar's own ("diverse instructions").
    """

    pictures: Weights[Pictures] = Field(default={1: 0.03, 2: 0.13, 3: 0.25, 4: 0.38, 5: 0.21})
    detour_share: float = Field(default=0.5, ge=0, le=1)
    detours: Weights[Kind] = Field(default={"modify": 1.0, "swap": 1.0, "remove": 1.0})
    background_first: float = Field(default=1.0, ge=0, le=1)
    reworded: float = Field(default=0.6, ge=0, le=1)


class NoPlan(ValueError):
    """No layout, no order in which all relations can be told, or no number of pictures that the recipe allows."""


def plan(
    scene: SceneGraph, rng: random.Random, vocabulary: Vocabulary, params: PlanParams, made: Made | None = None
) -> list[PlannedStep]:
    """The steps that lead from the blank canvas to the scene, laid out. Raises NoPlan.

    `made` counts the lot's plans so far, by number of pictures and by detour; this one is added. Without it both are
    drawn by weight.
    """
    try:
        goal = lay_out(scene, rng, vocabulary)
        order = paint_order(goal, rng, vocabulary)
    except (NoLayout, NoOrder) as e:
        raise NoPlan(str(e)) from None
    for kind in _detours(rng, params, made):
        chain = _chain(goal, order, PICTURES[kind], rng, params, made)
        steps = take(chain, goal, kind, rng, vocabulary) if chain and kind else chain
        if steps:
            break
    else:
        raise NoPlan("the recipe's weights (stages.plan.pictures) allow none of the numbers of pictures it can have")
    if made is not None:
        made.update((kind, len(steps)))
    final = steps[-1].scene
    if final.key() != goal.key():
        raise AssertionError(f"a {kind} detour ends in another scene: {final} is not {goal}")
    return steps


def _detours(rng: random.Random, params: PlanParams, made: Made | None) -> Iterator[Kind | Literal[""]]:
    """The kinds of detour to try in turn; "" (no detour) comes last."""
    if rng.random() < params.detour_share:
        yield from _behind(params.detours, rng, made)
    yield ""


def _behind(weights: Mapping[Choice, float], rng: random.Random, made: Made | None) -> list[Choice]:
    """The choices of positive weight, the one that is furthest behind its share first; without `made` drawn by weight.

    If they were always drawn by weight, choices that need much room would come up too rarely: many scenes lack it.
    """
    found = [one for one, weight in weights.items() if weight]
    rng.shuffle(found)
    return sorted(found, key=lambda one: (rng.expovariate(1) if made is None else made[one] + 1) / weights[one])


def _chain(
    goal: SceneGraph, order: list[SceneObject], detour: int, rng: random.Random, params: PlanParams, made: Made | None
) -> list[PlannedStep]:
    """A chain without detour; its length plus `detour` pictures is the one that the lot lacks most. [] if none fits."""
    alone = [0] if goal.background and rng.random() < params.background_first else []
    firsts = [*alone, *first_groups(order, goal)]  # how many objects the first picture holds; 0: only the background
    numbers = {len(order) - first + 1 + detour: first for first in firsts}
    behind = _behind({number: params.pictures.get(number, 0.0) for number in numbers}, rng, made)
    if not behind:
        return []
    first = numbers[behind[0]]
    ids = [o.id for o in order]
    scenes = [_ordered(goal, ids[:n]) for n in range(first, len(ids) + 1)]
    edits = [Edit(op=Op.PAINT, scene=scenes[0])]
    for scene in scenes[1:]:
        node = scene.objects[-1]
        edits.append(Edit(op=Op.ADD, node=node, relations=told_from(node, scene)))
    return [PlannedStep(e, b, s) for e, b, s in zip(edits, [SceneGraph(), *scenes], scenes, strict=False)]


def _ordered(goal: SceneGraph, ids: list[str]) -> SceneGraph:
    """The goal restricted to `ids`, its objects in the order in which they were painted."""
    part = goal.restrict(ids)
    return part.model_copy(update={"objects": tuple(part.node(i) for i in ids)})


def words_of(step: PlannedStep, rng: random.Random, vocabulary: Vocabulary, reworded: float) -> str:
    """The step's instruction, in a wording drawn for it."""
    own = instruct(step.before, step.edit, vocabulary)
    forms = wordings(own)
    return reword(own, rng.randrange(1, forms)) if forms > 1 and rng.random() < reworded else own


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Plan the steps of every prompt; count why the others have no plan."""
    ledger, rows, made = Ledger(), [], Counter[str | int]()
    params, vocabulary = context.params, context.vocabulary
    for row in inputs["prompts"].to_pylist():
        ledger.enter()
        sample = row["sample"]
        try:
            scene = SceneGraph.model_validate_json(row["scene"])
            steps = plan(scene, context.random_for(sample), vocabulary, params, made)
        except NoPlan as e:
            ledger.reject(str(e))
            continue
        ledger.keep()
        rows += [
            {
                "sample": sample,
                "step": i,
                "steps": len(steps),
                "op": step.edit.op.value,
                "detour": step.detour,
                "instruction": words_of(step, context.random_for(sample, i, "wording"), vocabulary, params.reworded),
                "description": describe(step.scene, vocabulary),
                "scene": step.scene.model_dump_json(),
            }
            for i, step in enumerate(steps, 1)
        ]
    return outcome(tables.PLAN, rows, ledger)


STAGE = Stage("plan", "prompts", ("prompts",), tables.PLAN, PlanParams, run, key=("sample",))
