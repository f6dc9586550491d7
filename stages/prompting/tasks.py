"""The tasks that a model can be asked to do, one entry each. Every template names its task.

`template lint`, `template test` and `template preview` read this table. A new task needs one entry here and a template
for it in templates/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jinja2 import meta, nodes

from underpaint.schemas.markup import DONE, parse_plan
from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.critique import Critique, critique_schema, parse_critique
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.answers.check_answer import check_schema, read_check
from underpaint.stages.common.roles import Answer
from underpaint.stages.common.suggest import did_you_mean
from underpaint.stages.common.templating import ENVIRONMENT, Shown, Template, TemplateProblem, front_lines, line_of
from underpaint.stages.prompting.enriching import long_text
from underpaint.stages.prompting.parsing import parse_scene


@dataclass(frozen=True)
class Format:
    """The form of an answer. `parse` turns an answer into JSON values, or raises ValueError.

    `schema` gives the JSON Schema of an answer; None where it is not JSON. Both take the finding kinds that a template
    adds.
    """

    parse: Callable[[str, Sequence[str]], dict[str, Any]]
    schema: Callable[[Sequence[str]], dict[str, Any]] | None
    named: tuple[str, ...]  # what a template must mention, since otherwise no model can know the format


@dataclass(frozen=True)
class Task:
    """What a model is asked. A template must use all of `variables`, and may use `optional` ones.

    A variable left out would be asked about without being shown.
    """

    role: Literal["writer", "judge"]
    output: str
    variables: tuple[str, ...]
    optional: tuple[str, ...] = ()
    shown: tuple[Shown, ...] = ()  # the pictures of a step that a template may show
    judges_parts: bool = False  # judges unfinished pictures, so a template must say that incomplete is not wrong

    @property
    def known(self) -> tuple[str, ...]:
        """All variables that a template may use; `shown` names the pictures that go with the question."""
        return (*self.variables, *self.optional, SHOWN)


def _plan(answer: str, kinds: Sequence[str]) -> dict[str, Any]:
    if answer.strip().rstrip(".").lower() == DONE:
        return {"done": True}
    instruction, description = parse_plan(answer)
    return {"done": False, "instruction": instruction, "description": description}


SHOWN = "shown"

FORMATS: dict[str, Format] = {
    "critique/1": Format(
        lambda answer, kinds: parse_critique(answer, kinds).model_dump(mode="json"),
        critique_schema, tuple(Critique.model_fields),
    ),
    "plan/1": Format(_plan, None, ("<ins>", "<des>", DONE)),
    "scene/1": Format(
        lambda answer, _: parse_scene(answer).model_dump(mode="json"),
        lambda _: SceneGraph.model_json_schema(), tuple(SceneGraph.model_fields),
    ),
    "check/1": Format(
        lambda answer, _: read_check(Answer(answer)).value.model_dump(), lambda _: check_schema(), ("why", "answer")
    ),
    "text/1": Format(lambda answer, _: {"text": long_text(answer)}, None, ()),
}  # fmt: skip

STEP = ("prompt", "so_far", "instruction", "description")
TASKS: dict[str, Task] = {
    "parse_prompt": Task("writer", "scene/1", ("prompt", "nouns"), ("attributes", "relations", "backgrounds")),
    "enrich_prompt": Task("writer", "text/1", ("prompt", "facts"), ("words",)),
    "write": Task("writer", "plan/1", ("prompt", "so_far"), shown=("before",)),
    "critique_text": Task("judge", "critique/1", ("prompt", "so_far", "instruction", "description"), judges_parts=True),
    "critique_picture": Task(
        "judge",
        "critique/1",
        ("instruction", "description"),
        ("prompt", "so_far"),
        ("before", "after"),
        judges_parts=True,
    ),
    # What the grammar checks of texts that it can read; yes means that all is well (stages/judgement/text_checks.py).
    "check_agreement": Task("judge", "check/1", ("so_far", "instruction", "description")),
    "check_keeps": Task("judge", "check/1", STEP, ("facts",)),
    "check_reach": Task("judge", "check/1", ("prompt", "description"), ("so_far", "instruction", "facts")),
    "check_correction": Task(
        "judge", "check/1", ("prompt", "so_far", "instruction", "findings", "correction"), ("facts",)
    ),
    "check_critique": Task("judge", "check/1", (*STEP, "side", "critique"), ("facts",)),
    "check_mending": Task("judge", "check/1", ("description", "observed", "findings", "correction")),
}


def parse(template: Template, answer: str) -> dict[str, Any]:
    """The JSON values read from an answer to a template. Raises ValueError naming the field or place that is wrong."""
    return FORMATS[TASKS[template.task].output].parse(answer, template.kinds)


def unusable(template: Template) -> Iterator[TemplateProblem]:
    """The problems that make a template unusable: it could not be rendered, or its answers could not be read."""
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
    for picture in template.pictures:
        if picture not in task.shown:
            there = f"it can be shown {' and '.join(task.shown)}" if task.shown else "leave pictures out"
            yield found.field("pictures", f"a {template.task} template has no picture {picture!r}", there)
    if template.kinds and task.output != "critique/1":
        yield found.field("kinds", "only a critique has findings of a kind", "leave kinds out")
    for kind in template.kinds:
        if kind in list(FaultKind):
            yield found.field("kinds", f"the kind {kind!r} is there already", "leave it out")
    for name, line in found.names():
        if name not in task.known:
            known = f"a {template.task} template has {', '.join(task.known)}"
            yield found.body(line, f"undefined variable {name!r}", f"{did_you_mean(name, task.known)} ({known})")


class Finder:
    """Finds the lines of a template's file at which fields and variables stand."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.tree = ENVIRONMENT.parse(template.body)
        text = Path(template.file).read_text(encoding="utf-8")
        self.lines = front_lines(text.split("---\n", 2)[1])

    def field(self, name: str, message: str, fix: str) -> TemplateProblem:
        """A problem at the line of a front-matter field."""
        return TemplateProblem(self.template.file, line_of(self.lines, name), message, fix)

    def body(self, line: int, message: str, fix: str) -> TemplateProblem:
        """A problem at a line of the body (counted from 1)."""
        return TemplateProblem(self.template.file, self.template.body_line - 1 + line, message, fix)

    def names(self) -> list[tuple[str, int]]:
        """(variable, line of the body where it is first used), in the order of the lines."""
        free = meta.find_undeclared_variables(self.tree)
        first: dict[str, int] = {}
        for node in self.tree.find_all(nodes.Name):
            if node.name in free:
                first[node.name] = min(node.lineno, first.get(node.name, node.lineno))
        return sorted(first.items(), key=lambda kv: kv[1])
