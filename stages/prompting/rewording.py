"""Words the steps of a plan anew, in the terms of the long prompt; each stays true to its scene graph.

Without it a prompt of 150 tokens has steps of fifteen, and its light, mood and style are in no picture's description,
which is what painter, judge and scorer are given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from underpaint.schemas.scenes.edit import Edit
from underpaint.schemas.scenes.plurals import singular_of
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.answers.answer import Read
from underpaint.stages.answers.steps import WrittenStep, read_steps, steps_schema
from underpaint.stages.common.asking import Said
from underpaint.stages.common.ledger import Ledger
from underpaint.stages.common.roles import Answer
from underpaint.stages.common.stage import Context
from underpaint.stages.prompting.attempts import Question, Written, ask_in_attempts
from underpaint.stages.prompting.fidelity import Departure, hold, hold_instruction, named_in, refuse_foreign

REWORD_STEPS = "reword_steps"
LEAVES_OUT = "leaves out what the long prompt says"


class Rewording(BaseModel):
    """Steps worded anew by the writer in the terms of the long prompt; their scene graphs stay the truth."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    attempts: int = Field(default=3, ge=1, le=10, description="how often the writer is asked for steps that are true")
    temperature: float = Field(default=0.7, ge=0, le=2, description="of the writer")
    keeps: float = Field(
        default=0.5, ge=0, le=1,
        description="share of the long prompt's words of four letters or more that the last description has at least",
    )  # fmt: skip


@dataclass(frozen=True)
class GraphStep:
    """A step as its graphs and the grammar have it."""

    edit: Edit
    before: SceneGraph
    scene: SceneGraph
    instruction: str
    description: str


def reword_steps(
    context: Context[Any], settings: Rewording, plans: Mapping[int, tuple[str, Sequence[GraphStep]]], ledger: Ledger
) -> dict[int, Written[tuple[WrittenStep, ...]] | Said[tuple[WrittenStep, ...]]]:
    """The steps of each (prompt, plan) in new words, by sample, or why the last answer cannot be used.

    All steps of a sample are asked for at once, so that their words agree.
    """
    questions = {}
    for sample, (prompt, steps) in plans.items():
        told = [{"instruction": s.instruction, "description": s.description} for s in steps]
        variables = {"prompt": prompt, "steps": json.dumps(told, indent=1), "number": str(len(steps))}
        schema = steps_schema(len(steps), len(steps))
        questions[sample] = Question(variables, _reader(context.vocabulary, settings, prompt, steps), schema)
    return ask_in_attempts(context, REWORD_STEPS, questions, settings.attempts, settings.temperature, ledger)


def _reader(
    vocabulary: Vocabulary, settings: Rewording, prompt: str, steps: Sequence[GraphStep]
) -> Callable[[Answer], Read[tuple[WrittenStep, ...]]]:
    known = vocabulary.with_words_of(steps[-1].scene)  # what comes later must not be spoken of yet

    def read(answer: Answer) -> Read[tuple[WrittenStep, ...]]:
        found = read_steps(answer, len(steps), len(steps))
        for i, (words, step) in enumerate(zip(found.value, steps, strict=True), 1):
            own = allowed_words(prompt, i, steps)
            hold_instruction(words.instruction, step.before, step.edit, step.scene, known)
            refuse_foreign(words.instruction, own, f"the instruction of step {i}")
            hold(words.description, step.scene, known, own, what=f"the description of step {i}")
        hold_detail(found.value[-1].description, prompt, settings.keeps)
        return found

    return read


def allowed_words(prompt: str, number: int, steps: Sequence[GraphStep]) -> str:
    """The words whose things step `number` may name: the prompt's, without those of things that stand there not yet."""
    step = steps[number - 1]
    own = set(re.findall(r"[\w'-]+", named_in(step.before, step.scene).lower()))
    later = set(re.findall(r"[\w'-]+", " ".join(o.noun for s in steps for o in s.scene.objects).lower())) - own
    words = re.findall(r"[\w'-]+", prompt.lower())
    return " ".join([*own, *(w for w in words if not {w, singular_of(w)} & later)])


def hold_detail(text: str, prompt: str, share: float) -> str:
    """Return the text unchanged. Raises Departure where it has less than `share` of the prompt's longer words."""
    wanted = {singular_of(w) for w in re.findall(r"[^\W\d_]{4,}", prompt.lower())}
    lost = sorted(wanted - {singular_of(w) for w in re.findall(r"[^\W\d_]{4,}", text.lower())})
    if len(lost) > (1 - share) * len(wanted):
        raise Departure("the last description", LEAVES_OUT, [f"does not say {', '.join(lost[:12])}"])
    return text
