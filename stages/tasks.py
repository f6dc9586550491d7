"""What a model is asked to do: one line a task. A template names its task; lint, test and preview read this table.

A new task is one entry here and a template for it in templates/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from schemas.critique import Critique, critique_schema, parse_critique
from schemas.markup import parse_plan
from schemas.scene import SceneGraph
from stages.enriching import long_text
from stages.parsing import parse_scene
from stages.rollout import DONE
from stages.templating import Template


@dataclass(frozen=True)
class Format:
    """A way to answer. `parse` gives JSON values of an answer or raises ValueError; `schema` is the JSON Schema of the
    answer, where it is JSON. Both are given the finding kinds that a template adds."""

    parse: Callable[[str, Sequence[str]], dict[str, Any]]
    schema: Callable[[Sequence[str]], dict[str, Any]] | None
    named: tuple[str, ...]  # what the words must name, or no model can know the format


@dataclass(frozen=True)
class Task:
    """`variables` must stand in the words, or the model is asked about what it is not shown; `optional` may."""

    role: Literal["writer", "judge"]
    output: str
    variables: tuple[str, ...]
    optional: tuple[str, ...] = ()
    shown: Literal["draft", "before"] = "draft"  # a template with a picture gets the step's, or the one before it
    judges_parts: bool = False  # a step of an unfinished picture: the words must say that incomplete is not wrong

    @property
    def known(self) -> tuple[str, ...]:
        return self.variables + self.optional


def _critique(answer: str, kinds: Sequence[str]) -> dict[str, Any]:
    return parse_critique(answer, kinds).model_dump(mode="json")


def _plan(answer: str, kinds: Sequence[str]) -> dict[str, Any]:
    if answer.strip().rstrip(".").lower() == DONE:
        return {"done": True}
    instruction, description = parse_plan(answer)
    return {"done": False, "instruction": instruction, "description": description}


def _scene(answer: str, kinds: Sequence[str]) -> dict[str, Any]:
    return parse_scene(answer).model_dump(mode="json")


def _text(answer: str, kinds: Sequence[str]) -> dict[str, Any]:
    return {"text": long_text(answer)}


FORMATS: dict[str, Format] = {
    "critique/1": Format(_critique, critique_schema, tuple(Critique.model_fields)),
    "plan/1": Format(_plan, None, ("<ins>", "<des>", DONE)),
    "scene/1": Format(_scene, lambda _: SceneGraph.model_json_schema(), tuple(SceneGraph.model_fields)),
    "text/1": Format(_text, None, ()),
}

TASKS: dict[str, Task] = {
    "parse_prompt": Task("writer", "scene/1", ("prompt", "nouns"), ("attributes", "relations", "backgrounds")),
    "enrich_prompt": Task("writer", "text/1", ("prompt", "facts"), ("words",)),
    "write": Task("writer", "plan/1", ("prompt", "so_far"), shown="before"),
    "critique_text": Task("judge", "critique/1", ("prompt", "so_far", "instruction", "description"), judges_parts=True),
    "critique_picture": Task("judge", "critique/1", ("instruction", "description"), ("prompt",), judges_parts=True),
}


def parse(template: Template, answer: str) -> dict[str, Any]:
    """What is read of an answer to a template. Raises ValueError naming the field or the place."""
    return FORMATS[TASKS[template.task].output].parse(answer, template.kinds)
