"""Has the writer write whole plans, and checks them step by step against the scene graph of their prompt.

Each description must show more of the scene than the one before and nothing foreign, the last one all of it. A plan of
the writer's takes no detour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from underpaint.schemas.scenes.edit import Edit, Op
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.mentions import disagreements
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.answers.answer import ContentError, Read
from underpaint.stages.answers.steps import WrittenStep, read_steps, steps_schema
from underpaint.stages.common.asking import REASKS, Said
from underpaint.stages.common.ledger import Ledger
from underpaint.stages.common.roles import Answer
from underpaint.stages.common.stage import Context
from underpaint.stages.prompting.attempts import Question, Written, ask_in_attempts
from underpaint.stages.prompting.fidelity import hold, hold_instruction, refuse_foreign
from underpaint.stages.prompting.rewording import GraphStep, allowed_words

WRITE_PLAN = "write_plan"
NO_PLAN = "the steps do not lead to the scene"


@dataclass(frozen=True)
class Wanted:
    """What a plan is written for. An indirect prompt is told with what was understood, as the graph is explicit."""

    prompt: str
    scene: SceneGraph


def write_plans(
    context: Context[Any], wanted: Mapping[int, Wanted], most: int, temperature: float, ledger: Ledger
) -> dict[int, Written[tuple[GraphStep, ...]] | Said[tuple[GraphStep, ...]]]:
    """The plan of each prompt in at most `most` steps, by sample, or why the last answer is none."""
    questions = {}
    for sample, one in wanted.items():
        facts = describe(one.scene, context.vocabulary)
        variables = {"prompt": one.prompt, "facts": facts, "most": str(most)}
        questions[sample] = Question(variables, _reader(context.vocabulary, one, most), steps_schema(1, most))
    return ask_in_attempts(context, WRITE_PLAN, questions, 1 + REASKS, temperature, ledger)


def _reader(
    vocabulary: Vocabulary, wanted: Wanted, most: int
) -> Callable[[Answer], Read[tuple[GraphStep, ...]]]:  # fmt: skip
    def read(answer: Answer) -> Read[tuple[GraphStep, ...]]:
        found = read_steps(answer, 1, most)
        return Read.of(check_plan(found.value, wanted, vocabulary), found.bends)

    return read


def check_plan(said: tuple[WrittenStep, ...], wanted: Wanted, vocabulary: Vocabulary) -> tuple[GraphStep, ...]:
    """The steps with the graphs that they show. Raises ContentError naming the step that is wrong, and why."""
    known, before, steps = vocabulary.with_words_of(wanted.scene), SceneGraph(), list[GraphStep]()
    for i, words in enumerate(said, 1):
        scene = shown_part(words.description, wanted.scene, known)
        new = [o for o in scene.objects if o not in before.objects]
        if any(o not in scene.objects for o in before.objects):
            raise ContentError(f"the description of step {i} no longer shows what was painted before", NO_PLAN)
        if not (new or (i == 1 and scene.background)):
            raise ContentError(f"step {i} adds nothing that the scene has", NO_PLAN)
        edit = Edit(op=Op.PAINT, scene=scene) if i == 1 else Edit(op=Op.ADD, node=new[0])
        steps.append(GraphStep(edit, before, scene, words.instruction, words.description))
        before = scene
    if before.key() != wanted.scene.key():
        missing = [o.noun for o in wanted.scene.objects if o not in before.objects]
        raise ContentError(f"the last description does not show {', '.join(missing)}", NO_PLAN)
    for i, step in enumerate(steps, 1):
        own = allowed_words(wanted.prompt, i, steps)
        for node in [o for o in step.scene.objects if o not in step.before.objects][1:]:
            hold_instruction(step.instruction, step.before, Edit(op=Op.ADD, node=node), step.scene, known)
        hold_instruction(step.instruction, step.before, step.edit, step.scene, known)
        refuse_foreign(step.instruction, own, f"the instruction of step {i}")
        hold(step.description, step.scene, known, own, what=f"the description of step {i}")
    return tuple(steps)


def shown_part(description: str, scene: SceneGraph, vocabulary: Vocabulary) -> SceneGraph:
    """The part of a scene whose objects a description names, each with its number and attributes."""
    shown = [
        node.id
        for node in scene.objects
        if not any(
            clause.startswith("drops") for clause in disagreements(description, SceneGraph(objects=(node,)), vocabulary)
        )
    ]
    return scene.restrict(shown)
