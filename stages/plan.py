"""plan: turns a scene into a chain of steps with instruction and description; some chains take a detour.

Each step has the scene that its picture should show. The number of pictures is drawn. The first picture may hold only
the background, or several objects at once; every further one adds one object, or belongs to a detour. The recipe may
have the writer write the plan, or word its steps anew in the long prompt's terms; both are held to the scene graph.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from underpaint.schemas.markup import BLANK
from underpaint.schemas.scenes.edit import Edit, Op, instruct
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.schemas.scenes.wordings import reword, wordings
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.rows import Int16, StepRow, rows
from underpaint.stages.common.stage import Context, Outcome, Stage, Tables, Weights, outcome
from underpaint.stages.judgement.text_checks import AGREEMENT, REACH, Check, SecondCheckParams, about_prompt, settle
from underpaint.stages.planning.detour import PICTURES, DetourKind, PlannedStep, take
from underpaint.stages.planning.layout import NoLayout, lay_out
from underpaint.stages.planning.order import NoOrder, first_groups, paint_order, part, told_from
from underpaint.stages.prompting.attempts import Written, failure_of
from underpaint.stages.prompting.fidelity import Departure
from underpaint.stages.prompting.plan_writing import WRITE_PLAN, Wanted, write_plans
from underpaint.stages.prompting.rewording import REWORD_STEPS, GraphStep, Rewording, reword_steps
from underpaint.stages.prompts import PromptRow

CHECKS = (AGREEMENT, REACH)
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
    author: str  # of its words: grammar or writer
    checked_by: str  # who saw that they say what the scene shows: grammar; model or nobody where it lacks words of it
    templates: list[str]  # digests of those that the writer was asked with


class PlanParams(SecondCheckParams):
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
    author: Literal["grammar", "writer"] = Field(
        default="grammar", description="who writes the plans; the writer's take no detour"
    )
    temperature: float = Field(default=0.7, ge=0, le=2, description="of the writer that writes plans")
    fallback: bool = Field(
        default=False, description="the grammar's own plan where the writer gives none; otherwise it goes to quarantine"
    )
    reword: Rewording | None = Field(
        default=None, description="has the writer word the steps anew in the terms of the long prompt"
    )

    def unused_tasks(self) -> frozenset[str]:
        """Writing, rewording and checking plans, where the parameters do not ask for it."""
        own = [*([] if self.author == "writer" else [WRITE_PLAN]), *([] if self.reword else [REWORD_STEPS])]
        return frozenset([*own, *([] if self._by_writer else CHECKS)]) | super().unused_tasks()

    def roles(self) -> tuple[str, ...]:
        """The judge, where it checks a writer's words."""
        return ("judge",) if self._by_writer and self.second_check == "model" else ()

    @property
    def most(self) -> int:
        """The greatest number of pictures that a plan may have."""
        return max(number for number, weight in self.pictures.items() if weight)

    @property
    def _by_writer(self) -> bool:
        return self.author == "writer" or self.reword is not None


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


@dataclass(frozen=True)
class Draft:
    """A sample's plan on its way to becoming rows."""

    row: PromptRow
    steps: Sequence[GraphStep]
    detours: Sequence[str]
    author: str = "grammar"
    templates: tuple[str, ...] = ()
    words: Sequence[tuple[str, str]] = field(default=())  # new ones: instruction and description of every step
    checked_by: str = "grammar"

    @property
    def told(self) -> list[tuple[str, str]]:
        """Instruction and description of every step."""
        return [*self.words] or [(step.instruction, step.description) for step in self.steps]


def run(context: Context[PlanParams], inputs: Tables) -> Outcome:
    """A plan for every prompt of the lot, in stream order, since each depends on the shares of those before it."""
    ledger = Ledger()
    prompts = rows(inputs["prompts"], PromptRow)
    ledger.enter(len(prompts))
    drafts = _written(context, prompts, ledger) if context.params.author == "writer" else _own(context, prompts, ledger)
    if context.params.reword is not None:
        drafts = _reworded(context, context.params.reword, drafts, ledger)
    drafts = _checked(context, drafts, ledger)
    ledger.keep(len(drafts))
    return outcome(PlanRow, [row for draft in drafts for row in _rows(draft)], ledger)


def _own(context: Context[PlanParams], prompts: Sequence[PromptRow], ledger: Ledger) -> list[Draft]:
    """The grammar's plans."""
    made, found = Counter[str | int](), []
    params, vocabulary = context.params, context.vocabulary
    for row in prompts:
        sample = row["sample"]
        try:
            scene = SceneGraph.model_validate_json(row["scene"])
            steps = plan(scene, context.random_for(sample), vocabulary, params, made)
        except NoPlan as e:
            ledger.reject(str(e))
            continue
        worded = [
            words_of(step, context.random_for(sample, i, "wording"), vocabulary, params.reworded)
            for i, step in enumerate(steps, 1)
        ]
        graphs = [
            GraphStep(step.edit, step.before, step.scene, words, describe(step.scene, vocabulary))
            for step, words in zip(steps, worded, strict=True)
        ]
        found.append(Draft(row, graphs, [step.detour for step in steps]))
    return found


def _written(context: Context[PlanParams], prompts: Sequence[PromptRow], ledger: Ledger) -> list[Draft]:
    """The writer's plans; those it fails to give go to quarantine, or come from the grammar with `fallback`."""
    params, wanted = context.params, dict[int, Wanted]()
    for row in prompts:
        try:
            scene = SceneGraph.model_validate_json(row["scene"])
            goal = lay_out(scene, context.random_for(row["sample"]), context.vocabulary)
        except NoLayout as e:
            ledger.reject(str(e))
            continue
        wanted[row["sample"]] = Wanted(row["prompt"], goal)
    said = write_plans(context, wanted, params.most, params.temperature, ledger)
    found, lost = list[Draft](), list[PromptRow]()
    for row in (row for row in prompts if row["sample"] in wanted):
        written = said[row["sample"]]
        if isinstance(written, Written):
            steps = written.value
            found.append(Draft(row, steps, [""] * len(steps), "writer", (written.template.digest,)))
        elif params.fallback:
            lost.append(row)
        else:
            ledger.fail(failure_of(row["sample"], "plan", written))
    return sorted([*found, *_own(context, lost, ledger)], key=lambda draft: draft.row["sample"])


def _reworded(
    context: Context[PlanParams], settings: Rewording, drafts: Sequence[Draft], ledger: Ledger
) -> list[Draft]:
    """The plans in the writer's words. Those that it cannot word truly are rejected, and counted with the reason."""
    plans = {d.row["sample"]: (d.row["prompt"], d.steps) for d in drafts}
    said = reword_steps(context, settings, plans, ledger)
    kept = []
    for draft in drafts:
        made = said[draft.row["sample"]]
        if isinstance(made, Written):
            words = [(step.instruction, step.description) for step in made.value]
            templates = (*draft.templates, made.template.digest)
            kept.append(replace(draft, words=words, author="writer", templates=templates))
        elif isinstance(made.error, Departure):
            ledger.reject(f"a reworded step {made.error.reason}")
        else:
            ledger.fail(failure_of(draft.row["sample"], "reworded steps", made))
    return kept


def _checked(context: Context[PlanParams], drafts: Sequence[Draft], ledger: Ledger) -> list[Draft]:
    """The plans that are right, and who says so: the judge, where the vocabulary lacks words of a writer's plan."""
    grammar = [d.author == "grammar" or _knows(context.vocabulary, d.steps[-1].scene) for d in drafts]
    asked = [[] if known else _checks(draft, context.vocabulary) for known, draft in zip(grammar, drafts, strict=True)]
    kept = []
    for draft, result in zip(drafts, settle(context, asked, context.params.second_check, ledger), strict=True):
        if isinstance(result, Failure):
            ledger.fail(result)
        elif result.why:
            ledger.reject(result.why)
        else:
            kept.append(replace(draft, checked_by=result.checked_by))
    return kept


def _checks(draft: Draft, vocabulary: Vocabulary) -> list[Check]:
    """That every step's instruction and description agree, and that the prompt can be met after it."""
    found, so_far, goal = list[Check](), BLANK, draft.steps[-1].scene
    about = about_prompt(draft.row["prompt"], goal, vocabulary.with_words_of(goal))
    for i, (instruction, description) in enumerate(draft.told, 1):
        unit = Unit(draft.row["sample"], step=i)
        said = {"so_far": so_far, "instruction": instruction, "description": description}
        found.append(Check(unit, AGREEMENT, said, None, "instruction and description disagree"))
        if not any(draft.detours[i - 1 :]):  # before a detour ends, the picture is not yet on its way to the prompt
            found.append(Check(unit, REACH, {**about, **said}, None, "the prompt cannot be met after the step"))
        so_far = description
    return found


def _rows(draft: Draft) -> Iterator[PlanRow]:
    """The rows of a plan. The first step of a prompt that takes knowledge says what was understood."""
    for i, (step, (instruction, description)) in enumerate(zip(draft.steps, draft.told, strict=True), 1):
        yield {
            "sample": draft.row["sample"],
            "step": i,
            "steps": len(draft.steps),
            "op": step.edit.op.value,
            "detour": draft.detours[i - 1],
            "instruction": f"{draft.row['understood']} {instruction}".strip() if i == 1 else instruction,
            "description": description,
            "scene": step.scene.model_dump_json(),
            "author": draft.author,
            "checked_by": draft.checked_by,
            "templates": [*draft.templates],
        }


def _knows(vocabulary: Vocabulary, scene: SceneGraph) -> bool:
    """Whether the vocabulary has all words of a scene, so that it sees what a text adds to it or says otherwise."""
    wider = vocabulary.with_words_of(scene)
    return all(getattr(wider, name) == getattr(vocabulary, name) for name in ("nouns", "attributes", "relations"))


STAGE = Stage(
    "plan", "prompts", ("painted",), ("prompts",), PlanRow, PlanParams, run,
    roles=("writer",), tasks=(WRITE_PLAN, REWORD_STEPS, *CHECKS), key=("sample",),
)  # fmt: skip
