"""plan: turns a scene into a chain of steps with instruction and description; some chains take a detour.

Each step has the scene that its picture should show. The number of pictures is drawn. The first picture may hold only
the background, or several objects at once; every further one adds one object, or belongs to a detour.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from underpaint.schemas.scenes.edit import Edit, Op, instruct
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.schemas.scenes.wordings import reword, wordings
from underpaint.stages.common.ledger import Ledger
from underpaint.stages.common.rows import Int16, StepRow, rows
from underpaint.stages.common.stage import Context, Outcome, Params, Stage, Tables, Weights, outcome
from underpaint.stages.planning.detour import PICTURES, DetourKind, PlannedStep, take
from underpaint.stages.planning.layout import NoLayout, lay_out
from underpaint.stages.planning.order import NoOrder, first_groups, paint_order, part, told_from
from underpaint.stages.prompts import PromptRow

Pictures = Annotated[int, Field(ge=1, le=5)]  # the number of pictures of a trajectory, as in the paper
Choice = TypeVar("Choice", DetourKind, int)
Made = Counter[str | int]  # the lot's plans so far, by kind of detour and by number of pictures


class PlanRow(StepRow):
    """One step of a plan: what is painted in it, and what should stand there after it."""

    steps: Int16  # pictures of the whole trajectory
    op: str
    detour: str  # "", modify, swap or remove
    instruction: str
    description: str
    scene: str
    checked_by: str  # who checked that the step says what its scene shows: the grammar, where it wrote the step


class PlanParams(Params):
    """The steps of the painted trajectories. The shares are kept within a lot, as far as its scenes have room."""

    pictures: Weights[Pictures] = Field(
        default={1: 0.03, 2: 0.13, 3: 0.25, 4: 0.38, 5: 0.21},
        description="relative weights of the number of pictures, 1 to 5",
    )
    detour_share: float = Field(default=0.5, ge=0, le=1, description="probability of a detour; a plan has one at most")
    detours: Weights[DetourKind] = Field(
        default={"modify": 1.0, "swap": 1.0, "remove": 1.0}, description="relative weights of the kinds of detour"
    )
    background_first: float = Field(
        default=1.0, ge=0, le=1, description="probability that a plan may begin with the background alone"
    )
    reworded: float = Field(
        default=0.6, ge=0, le=1, description="share of instructions in another wording than the grammar's own"
    )


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
    for detour in _detours(rng, params, made):
        chain = _chain(goal, order, PICTURES[detour], rng, params, made)
        steps = take(chain, goal, detour, rng, vocabulary) if chain and detour else chain
        if steps:
            break
    else:
        raise NoPlan("the recipe's weights (stages.plan.pictures) allow none of the numbers of pictures it can have")
    if made is not None:
        made.update((detour, len(steps)))
    final = steps[-1].scene
    if final.key() != goal.key():
        raise AssertionError(f"a {detour} detour ends in another scene: {final} is not {goal}")
    return steps


def _detours(rng: random.Random, params: PlanParams, made: Made | None) -> Iterator[DetourKind | Literal[""]]:
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
    scenes = [part(goal, ids[:n]) for n in range(first, len(ids) + 1)]
    edits = [Edit(op=Op.PAINT, scene=scenes[0])]
    for scene in scenes[1:]:
        node = scene.objects[-1]
        edits.append(Edit(op=Op.ADD, node=node, relations=told_from(node, scene)))
    return [PlannedStep(e, b, s) for e, b, s in zip(edits, [SceneGraph(), *scenes], scenes, strict=False)]


def words_of(step: PlannedStep, rng: random.Random, vocabulary: Vocabulary, reworded: float) -> str:
    """The step's instruction, in a wording drawn for it."""
    own = instruct(step.before, step.edit, vocabulary)
    forms = wordings(own)
    return reword(own, rng.randrange(1, forms)) if forms > 1 and rng.random() < reworded else own


def run(context: Context[PlanParams], inputs: Tables) -> Outcome:
    """A plan for every prompt of the lot, in stream order, since each depends on the shares of those before it."""
    ledger, made = Ledger(), Counter[str | int]()
    planned: list[PlanRow] = []
    params, vocabulary = context.params, context.vocabulary
    for row in rows(inputs["prompts"], PromptRow):
        ledger.enter()
        sample = row["sample"]
        try:
            scene = SceneGraph.model_validate_json(row["scene"])
            steps = plan(scene, context.random_for(sample), vocabulary, params, made)
        except NoPlan as e:
            ledger.reject(str(e))
            continue
        ledger.keep()
        planned += [
            {
                "sample": sample,
                "step": i,
                "steps": len(steps),
                "op": step.edit.op.value,
                "detour": step.detour,
                "instruction": words_of(step, context.random_for(sample, i, "wording"), vocabulary, params.reworded),
                "description": describe(step.scene, vocabulary),
                "scene": step.scene.model_dump_json(),
                "checked_by": "grammar",
            }
            for i, step in enumerate(steps, 1)
        ]
    return outcome(PlanRow, planned, ledger)


STAGE = Stage("plan", "prompts", ("painted",), ("prompts",), PlanRow, PlanParams, run, key=("sample",))
