"""The tasks that a model can be asked to do, one entry each. Every template names its task.

`template lint`, `template test` and `template preview` read this table. A new task needs one entry here and a template
for it in templates/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jsonschema
from jinja2 import meta, nodes

from underpaint.schemas.markup import DONE
from underpaint.schemas.scenes.compare import FaultKind
from underpaint.stages.answers.answer import Read, Said
from underpaint.stages.answers.check_answer import check_schema, read_check
from underpaint.stages.answers.plan import read_plan
from underpaint.stages.answers.scene import scene_schema
from underpaint.stages.answers.steps import read_steps, steps_schema
from underpaint.stages.answers.text import read_text
from underpaint.stages.common.critique_formats import CRITIQUE_FORMATS, QUESTIONS, answer_schema, read_as_critique
from underpaint.stages.common.suggest import did_you_mean
from underpaint.stages.common.templating import (
    ENVIRONMENT,
    SHARED,
    Shown,
    Template,
    TemplateProblem,
    front_lines,
    line_of,
)
from underpaint.stages.prompting.parsing import parse_scene


@dataclass(frozen=True)
class Format:
    """The form of an answer. `read` turns an answer to a template into JSON values, or raises ValueError.

    `schema` gives the JSON Schema of an answer; None where it is not JSON.
    """

    read: Callable[[str | Said, Template], Read[dict[str, Any]]]
    schema: Callable[[Template], dict[str, Any] | None] | None
    named: tuple[str, ...] = ()  # what a template must mention beyond the schema, or no model can know the format


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
    outputs: tuple[str, ...] = ()  # other formats that its answers may have

    @property
    def known(self) -> tuple[str, ...]:
        """All variables that a template may use; `shown` names the pictures that go with the question."""
        return (*self.variables, *self.optional, SHOWN)


def _critique(answer: str | Said, template: Template) -> Read[dict[str, Any]]:
    read = read_as_critique(template, answer)
    return Read(read.value.model_dump(mode="json"), read.bends)


def _plan(answer: str | Said, template: Template) -> Read[dict[str, Any]]:
    read = read_plan(answer)
    if read.value is None:
        return Read({"done": True}, read.bends)
    instruction, description = read.value
    return Read({"done": False, "instruction": instruction, "description": description}, read.bends)


def _check(answer: str | Said, template: Template) -> Read[dict[str, Any]]:
    found = read_check(answer)
    return Read(found.value.model_dump(), found.bends)


def _text(answer: str | Said, template: Template) -> Read[dict[str, Any]]:
    read = read_text(answer)
    return Read({"text": read.value}, read.bends)


def _scene(answer: str | Said, template: Template) -> Read[dict[str, Any]]:
    read = parse_scene(answer)
    return Read(read.value.model_dump(mode="json"), read.bends)


def _steps(answer: str | Said, template: Template) -> Read[dict[str, Any]]:
    read = read_steps(answer)
    return Read({"steps": [asdict(step) for step in read.value]}, read.bends)


SHOWN = "shown"

FORMATS: dict[str, Format] = {
    **{name: Format(_critique, answer_schema) for name in CRITIQUE_FORMATS},
    "plan/1": Format(_plan, None, ("<ins>", "<des>", DONE)),
    "scene/1": Format(_scene, lambda _: scene_schema()),
    "check/1": Format(_check, lambda _: check_schema()),
    "steps/1": Format(_steps, lambda _: steps_schema()),
    "text/1": Format(_text, None),
}

STEP = ("prompt", "so_far", "instruction", "description")
TASKS: dict[str, Task] = {
    "parse_prompt": Task("writer", "scene/1", ("prompt", "nouns"), ("attributes", "relations", "backgrounds")),
    "enrich_prompt": Task("writer", "text/1", ("prompt", "facts"), ("words", "indirect")),
    "write_plan": Task("writer", "steps/1", ("prompt", "facts"), ("most",)),
    "reword_steps": Task("writer", "steps/1", ("prompt", "steps"), ("number",)),
    "write": Task("writer", "plan/1", ("prompt", "so_far"), shown=("before",)),
    "critique_text": Task(
        "judge", "critique/1", ("prompt", "so_far", "instruction", "description"), judges_parts=True,
        outputs=("label/1",),
    ),
    "critique_picture": Task(
        "judge", "critique/1", ("instruction", "description"), ("prompt", "so_far", QUESTIONS), ("before", "after"),
        judges_parts=True, outputs=("questions/1", "label/1"),
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
}  # fmt: skip


def parse(template: Template, answer: str) -> dict[str, Any]:
    """The JSON values read from an answer to a template. Raises ValueError naming the field or place that is wrong."""
    return FORMATS[template.output].read(answer, template).value


def unusable(template: Template) -> Iterator[TemplateProblem]:
    """The problems that make a template unusable: it could not be rendered, or its answers could not be read."""
    found = Finder(template)
    task = TASKS.get(template.task)
    if task is None:
        yield found.field("task", f"unknown task {template.task!r}", did_you_mean(template.task, TASKS))
        return
    if template.role != task.role:
        yield found.field("role", f"a {template.task} template asks the {task.role}", f"write role: {task.role}")
    if template.output not in (task.output, *task.outputs):
        why = f"the output {template.output!r} is not what the parser of {template.task} reads"
        yield found.field("output", why, f"write output: {' or '.join((task.output, *task.outputs))}")
    for picture in template.pictures:
        if picture not in task.shown:
            there = f"it can be shown {' and '.join(task.shown)}" if task.shown else "leave pictures out"
            yield found.field("pictures", f"a {template.task} template has no picture {picture!r}", there)
    if template.kinds and template.output not in CRITIQUE_FORMATS:
        yield found.field("kinds", "only a critique has findings of a kind", "leave kinds out")
    for kind in template.kinds:
        if kind in list(FaultKind) and template.output != "label/1":
            yield found.field("kinds", f"the kind {kind!r} is there already", "leave it out")
    yield from _own_form(found)
    for name, problem in found.names():
        if name not in task.known:
            known = f"a {template.task} template has {', '.join(task.known)}"
            yield problem(f"undefined variable {name!r}", f"{did_you_mean(name, task.known)} ({known})")
    for i, shot in enumerate(template.shots):
        yield from _shot(found, task, i, shot.variables.keys(), shot.pictures.keys())


def _own_form(found: Finder) -> Iterator[TemplateProblem]:
    """Problems of what a template adds to the form of the answers: fields, labels, what a yes means."""
    template = found.template
    schema = FORMATS[template.output].schema if template.output in FORMATS else None
    if template.fields and template.output != "critique/1":
        yield found.field("fields", f"answers of the form {template.output} have no further fields", "leave fields out")
    elif template.fields and schema:
        taken = (schema(template.model_copy(update={"fields": {}})) or {})["properties"]
        for name, form in template.fields.items():
            where = f"fields.{name}"
            if name in taken:
                yield found.field(where, f"the field {name!r} is there already", "give it another name")
            elif not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                yield found.field(where, f"{name!r} is no name of a field", "use lower case, digits and underscores")
            try:
                jsonschema.Draft202012Validator.check_schema(form)
            except jsonschema.SchemaError as e:
                place = "".join(f".{part}" for part in e.path)
                yield found.field(where, f"is no JSON Schema: {place[1:]} {e.message}", "give e.g. {type: integer}")
    labelled = template.output == "label/1"
    if labelled and (len(template.labels) < 2 or len(template.kinds) != 1):
        fix = "e.g. labels: {Correct: consistent, Incorrect: conflict} and kinds: [said_wrong]"
        yield found.field("labels", "label/1 wants labels of both sides, and in kinds the kind of what is wrong", fix)
    if template.labels and not labelled:
        yield found.field("labels", "only answers of the form label/1 end with a label", "leave labels out")
    if template.yes_means is not None and template.output != "critique/1":
        yield found.field("yes_means", "only a verdict of the form critique/1 may be a yes", "leave it out")


def _shot(
    found: Finder, task: Task, i: int, variables: Collection[str], pictures: Collection[str]
) -> Iterator[TemplateProblem]:
    """Problems of a worked example: variables, pictures, and an answer that the template's own parser refuses."""
    template, here = found.template, f"shots.{i}"
    for name in variables:
        if name not in task.known:
            why = f"no {template.task} variable {name!r}"
            yield found.field(f"{here}.variables.{name}", why, did_you_mean(name, task.known))
    for name in sorted({n for n, _ in found.names()} & {*task.known} - {*variables, SHOWN}):
        yield found.field(f"{here}.variables", f"the variable {name!r} is missing", f"add {name}: …")
    for name in pictures:
        if name not in template.pictures:
            why = f"the template shows no picture {name!r}"
            yield found.field(f"{here}.pictures.{name}", why, "name it in pictures, or drop it here")
    if template.output in FORMATS:
        try:
            parse(template, template.shots[i].answer)
        except ValueError as e:
            yield found.field(f"{here}.answer", f"the answer does not parse: {e}", "mend it: models copy what they see")


class Finder:
    """Finds the lines of a template's file at which fields and variables stand."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.tree = ENVIRONMENT.parse(template.body)
        self.system = ENVIRONMENT.parse(template.system)
        text = Path(template.file).read_text(encoding="utf-8")
        self.lines = front_lines(text.split("---\n", 2)[1])

    def field(self, name: str, message: str, fix: str) -> TemplateProblem:
        """A problem at the line of a front-matter field."""
        return TemplateProblem(self.template.file, line_of(self.lines, name), message, fix)

    def body(self, line: int, message: str, fix: str) -> TemplateProblem:
        """A problem at a line of the body (counted from 1)."""
        return TemplateProblem(self.template.file, self.template.body_line - 1 + line, message, fix)

    def names(self) -> list[tuple[str, Callable[[str, str], TemplateProblem]]]:
        """The variables of body and system message, each with what makes a problem where it is first used."""
        first: dict[str, tuple[int, Callable[[str, str], TemplateProblem]]] = {}
        for tree in (self.tree, self.system):
            free = meta.find_undeclared_variables(tree) - SHARED.keys()
            for node in sorted(tree.find_all(nodes.Name), key=lambda n: n.lineno):
                if node.name in free and node.name not in first:
                    at = partial(self.body, node.lineno) if tree is self.tree else partial(self.field, "system")
                    first[node.name] = (node.lineno if tree is self.tree else 0, at)
        return [(name, at) for name, (_, at) in sorted(first.items(), key=lambda item: item[1][0])]
