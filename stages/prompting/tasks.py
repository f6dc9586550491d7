"""What a model is asked to do: one line a task. A template names its task; lint, test and preview read this table.

A new task is one entry here and a template for it in templates/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jinja2 import meta, nodes

from underpaint.schemas.markup import DONE, parse_plan
from underpaint.schemas.scenes.compare import Kind
from underpaint.schemas.scenes.critique import Critique, critique_schema, parse_critique
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.common.suggest import did_you_mean
from underpaint.stages.common.templating import ENVIRONMENT, Problem, Template, front_lines, line_of
from underpaint.stages.prompting.enriching import long_text
from underpaint.stages.prompting.parsing import parse_scene


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


def unusable(template: Template) -> Iterator[Problem]:
    """What would make requests that cannot be rendered, or answers that nobody can read."""
    found = Finder(template)
    task = TASKS.get(template.task)
    if task is None:
        yield found.field("task", f"unknown task {template.task!r}", did_you_mean(template.task, TASKS))
        return
    if template.role != task.role:
        yield found.field("role", f"a {template.task} template asks the {task.role}", f"write role: {task.role}")
    if template.output != task.output:
        why = f"the output {template.output!r} is not what the parser of {template.task} reads"
        yield found.field("output", why, f"write output: {task.output}")
    if template.kinds and task.output != "critique/1":
        yield found.field("kinds", "only a critique has findings of a kind", "leave kinds out")
    for kind in template.kinds:
        if kind in list(Kind):
            yield found.field("kinds", f"the kind {kind!r} is there already", "leave it out")
    for name, line in found.names():
        if name not in task.known:
            known = f"a {template.task} template has {', '.join(task.known)}"
            yield found.body(line, f"undefined variable {name!r}", f"{did_you_mean(name, task.known)} ({known})")


class Finder:
    """Where things stand in a template's file."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.tree = ENVIRONMENT.parse(template.body)
        text = Path(template.file).read_text(encoding="utf-8")
        self.lines = front_lines(text.split("---\n", 2)[1])

    def field(self, name: str, message: str, fix: str) -> Problem:
        return Problem(self.template.file, line_of(self.lines, name), message, fix)

    def body(self, line: int, message: str, fix: str) -> Problem:
        return Problem(self.template.file, self.template.body_line - 1 + line, message, fix)

    def names(self) -> list[tuple[str, int]]:
        """The variables that the words ask for, each with the line of the body where it first stands."""
        free = meta.find_undeclared_variables(self.tree)
        first: dict[str, int] = {}
        for node in self.tree.find_all(nodes.Name):
            if node.name in free:
                first[node.name] = min(node.lineno, first.get(node.name, node.lineno))
        return sorted(first.items(), key=lambda kv: kv[1])
