"""Turns short prompts into long ones by asking the writer; a text that departs from the scene graph is dropped.

The paper's prompts average 152.8 tokens; a grammar's sentence has about fifteen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.answers.answer import ContentError, Read
from underpaint.stages.answers.text import read_text
from underpaint.stages.common.asking import Said
from underpaint.stages.common.ledger import Ledger
from underpaint.stages.common.roles import Answer
from underpaint.stages.common.stage import Context
from underpaint.stages.prompting.attempts import Question, Written, ask_in_attempts
from underpaint.stages.prompting.fidelity import hold

ENRICH_PROMPT = "enrich_prompt"
SHORTEST = 0.5  # of the words asked for: a text that says the prompt again is not longer than it


class Enrichment(BaseModel):
    """Short prompts made long by the writer; the scene graph stays the truth."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    words: int = Field(default=115, ge=20, le=400, description="asked for; 115 English words are about 150 tokens")
    attempts: int = Field(
        default=3, ge=1, le=10, description="how often the writer is asked for a text that says what the scene holds"
    )
    temperature: float = Field(default=0.7, ge=0, le=2, description="of the writer")


@dataclass(frozen=True)
class Short:
    """A prompt that is to be made long. One that takes knowledge (`indirect`) stays so."""

    prompt: str
    scene: SceneGraph
    indirect: bool = False


def enrich_prompts(
    context: Context[Any], settings: Enrichment, prompts: Mapping[int, Short], ledger: Ledger
) -> dict[int, Written[str] | Said[str]]:
    """The long wording of each prompt, by sample, or why the last answer is none."""
    questions = {}
    for sample, short in prompts.items():
        facts = describe(short.scene, context.vocabulary)
        variables = {"prompt": short.prompt, "facts": facts, "words": str(settings.words)}
        variables["indirect"] = "yes" if short.indirect else ""
        questions[sample] = Question(variables, _reader(context, short, settings.words))
    return ask_in_attempts(context, ENRICH_PROMPT, questions, settings.attempts, settings.temperature, ledger)


def _reader(context: Context[Any], short: Short, words: int) -> Callable[[Answer], Read[str]]:
    def read(answer: Answer) -> Read[str]:
        text = read_text(answer)
        hold(text.value, short.scene, context.vocabulary, short.prompt, indirect=short.indirect)
        if len(text.value.split()) < words * SHORTEST:
            raise ContentError(
                f"the text has {len(text.value.split())} words; about {words} are asked for", "too short"
            )
        return text

    return read
