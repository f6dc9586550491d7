"""What can be known of a template without asking a model. Every problem names file, line and remedy.

A recipe refuses templates that are `unusable`; `lint_file` finds that too, and all that would be regretted later.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jsonschema
from jinja2 import meta, nodes

from pipeline.errors import did_you_mean
from schemas.compare import Kind
from stages.tasks import FORMATS, TASKS, Task, parse
from stages.templating import ENVIRONMENT, Problem, Template, TemplateError, front_lines, line_of, load_template

CLAUSE = "What is not painted yet is not a fault."
NEGATED = re.compile(r"\b(not|no|never|nothing|without)\b|n't\b", re.IGNORECASE)


def lint_files(files: Sequence[Path], stages: Mapping[str, tuple[str, ...]]) -> list[Problem]:
    """All problems of some files, the ids that two of one folder share included."""
    problems, owners = [], defaultdict(list)
    for file in files:
        found = lint_file(file, stages)
        if not found:
            owners[file.parent, load_template(file).id].append(file)
        problems += found
    for (_, id), (first, *others) in owners.items():
        for file in others:
            problems.append(Problem(str(file), 2, f"the id {id!r} is that of {first} too", "give it its own"))
    return problems


def lint_file(path: Path, stages: Mapping[str, tuple[str, ...]]) -> list[Problem]:
    """All problems of a template's file, in order of line. `stages` are the tasks that each stage renders."""
    try:
        template = load_template(path)
    except TemplateError as e:
        return [e.problem]
    found = _Finder(template)
    problems = [*unusable(template)]
    if template.task in TASKS:
        task = TASKS[template.task]
        problems += [
            *_stages(found, stages), *_words(found, task), *_clause(found, task), *_examples(found, task),
        ]  # fmt: skip
    return sorted(problems, key=lambda p: p.line)


def unusable(template: Template) -> Iterator[Problem]:
    """What would make requests that cannot be rendered, or answers that nobody can read."""
    found = _Finder(template)
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


class _Finder:
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


def _stages(found: _Finder, stages: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    task = found.template.task
    able = [name for name, tasks in stages.items() if task in tasks]
    for i, name in enumerate(found.template.stages):
        if name not in able:
            yield found.field(f"stages.{i}", f"the stage {name!r} renders no {task} template", did_you_mean(name, able))


def _words(found: _Finder, task: Task) -> Iterator[Problem]:
    """Variables never shown, names set and never used, and parts of the answer that the words do not ask for."""
    used = {name for name, _ in found.names()}
    end = found.template.body.count("\n") + 1
    for name in task.variables:
        if name not in used:
            why = f"unused variable {name!r}: the {task.role} is never shown it"
            yield found.body(end, why, f"put {{{{ {name} }}}} where it belongs")
    assigned = {n.name: n.lineno for n in found.tree.find_all(nodes.Name) if n.ctx == "store"}
    loaded = {n.name for n in found.tree.find_all(nodes.Name) if n.ctx == "load"}
    for name, line in assigned.items():
        if name not in loaded:
            yield found.body(line, f"unused variable {name!r}: it is set and never used", "use it, or drop it")
    names = [n for n in FORMATS[task.output].named if n not in found.template.body]
    if names:
        why = f"the parser of {task.output} reads {', '.join(names)}, which the words never name"
        yield found.body(end, why, "say in the words how to answer, naming every part")
    for kind in found.template.kinds:
        if kind not in found.template.body:
            yield found.body(end, f"the words never name the kind {kind!r}", "say when it is to be used, or drop it")


def _clause(found: _Finder, task: Task) -> Iterator[Problem]:
    """Where parts of a picture are judged, the words must say that incomplete is not wrong."""
    sentence = found.template.incomplete
    if not task.judges_parts:
        if sentence:
            yield found.field("incomplete", f"a {found.template.task} template judges nothing", "leave incomplete out")
        return
    if not sentence:
        fix = f"say it in the words, e.g. {CLAUSE!r}, and repeat that sentence as incomplete: in the front matter"
        yield found.field("incomplete", "no clause says that incomplete is not wrong", fix)
    elif " ".join(sentence.split()) not in " ".join(found.template.body.split()):
        yield found.field("incomplete", f"the words do not hold the clause {sentence!r}", "repeat it word by word")
    elif not NEGATED.search(sentence):
        yield found.field("incomplete", f"the clause {sentence!r} denies nothing", f"say e.g. {CLAUSE!r}")


def _examples(found: _Finder, task: Task) -> Iterator[Problem]:
    """Every example has the task's variables and an answer that parses, or is refused, as it says."""
    template = found.template
    if not template.examples:
        yield found.field("examples", "has no example", "add one: name, variables, answer, expect")
    for i, example in enumerate(template.examples):
        here = f"examples.{i}"
        for name in example.variables:
            if name not in task.known:
                yield found.field(
                    f"{here}.variables.{name}", f"no {template.task} variable {name!r}", did_you_mean(name, task.known)
                )
        for name in {n for n, _ in found.names()} & set(task.known) - set(example.variables):
            yield found.field(f"{here}.variables", f"the variable {name!r} is missing", f"add {name}: …")
        try:
            parse(template, example.answer)
            refused = ""
        except ValueError as e:
            refused = str(e)
        where = f"{here}.answer"
        if refused and not example.refused:
            yield found.field(where, f"the answer does not parse: {refused}", "mend it, or write refused: in place")
        elif not refused and example.refused:
            yield found.field(where, "the answer parses, though it should be refused", "write expect: in place")
        elif not refused and (why := _against_schema(template, example.answer)):
            yield found.field(where, f"the schema {template.output} refuses what its parser reads: {why}", "mend both")


def _against_schema(template: Template, answer: str) -> str:
    """Why the JSON Schema refuses an answer that parses; "" where it does not."""
    schema = FORMATS[TASKS[template.task].output].schema
    text = answer.strip().strip("`").removeprefix("json")
    if schema is None:
        return ""
    errors = jsonschema.Draft202012Validator(schema(template.kinds)).iter_errors(json.loads(text))
    return next((e.message for e in errors), "")
