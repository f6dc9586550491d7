"""Checks templates without asking a model. Every problem names file, line and remedy.

A recipe refuses templates that are `unusable`. `lint_file` finds these problems, and others that only make answers bad.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jsonschema
from jinja2 import nodes

from underpaint.pipeline.workbench.told import told, untold
from underpaint.stages.common.suggest import did_you_mean
from underpaint.stages.common.templating import Template, TemplateError, TemplateProblem, load_template
from underpaint.stages.prompting.tasks import FORMATS, SHOWN, TASKS, Finder, Task, parse, unusable

CLAUSE = "What is not painted yet is not a fault."
NEGATED = re.compile(r"\b(not|no|never|nothing|without)\b|n't\b", re.IGNORECASE)


def lint_files(files: Sequence[Path], stages: Mapping[str, tuple[str, ...]]) -> list[TemplateProblem]:
    """All problems of some files, including ids that occur twice in a folder."""
    problems, owners = [], defaultdict(list)
    for file in files:
        found = lint_file(file, stages)
        if not found:
            owners[file.parent, load_template(file).id].append(file)
        problems += found
    for (_, id), (first, *others) in owners.items():
        for file in others:
            problems.append(TemplateProblem(str(file), 2, f"the id {id!r} is that of {first} too", "give it its own"))
    return problems


def lint_file(path: Path, stages: Mapping[str, tuple[str, ...]]) -> list[TemplateProblem]:
    """All problems of a template's file, in order of line. `stages` are the tasks that each stage renders."""
    try:
        template = load_template(path)
    except TemplateError as e:
        return [e.problem]
    found = Finder(template)
    problems = [*unusable(template)]
    if template.task in TASKS:
        task = TASKS[template.task]
        problems += [
            *_stages(found, stages), *_words(found, task), *_clause(found, task), *_examples(found, task),
            *untold(found),
        ]  # fmt: skip
    return sorted(problems, key=lambda p: p.line)


def _stages(found: Finder, stages: Mapping[str, tuple[str, ...]]) -> Iterator[TemplateProblem]:
    task = found.template.task
    able = [name for name, tasks in stages.items() if task in tasks]
    for i, name in enumerate(found.template.stages):
        if name not in able:
            yield found.field(f"stages.{i}", f"the stage {name!r} renders no {task} template", did_you_mean(name, able))


def _words(found: Finder, task: Task) -> Iterator[TemplateProblem]:
    """Problems of the words: unused variables, and names set and never used."""
    end = found.template.body.count("\n") + 1
    for name in task.variables:
        if name not in found.template.names:
            why = f"unused variable {name!r}: the {task.role} is never shown it"
            yield found.body(end, why, f"put {{{{ {name} }}}} where it belongs")
    assigned = {n.name: n.lineno for n in found.tree.find_all(nodes.Name) if n.ctx == "store"}
    loaded = {n.name for n in found.tree.find_all(nodes.Name) if n.ctx == "load"}
    for name, line in assigned.items():
        if name not in loaded:
            yield found.body(line, f"unused variable {name!r}: it is set and never used", "use it, or drop it")


def _clause(found: Finder, task: Task) -> Iterator[TemplateProblem]:
    """Problems of the clause "incomplete is not wrong", which every template needs that judges unfinished pictures."""
    sentence = found.template.incomplete
    if not task.judges_parts:
        if sentence:
            yield found.field("incomplete", f"a {found.template.task} template judges nothing", "leave incomplete out")
        return
    if not sentence:
        fix = f"say it in the words, e.g. {CLAUSE!r}, and repeat that sentence as incomplete: in the front matter"
        yield found.field("incomplete", "no clause says that incomplete is not wrong", fix)
    elif " ".join(sentence.split()) not in " ".join(told(found.template).split()):
        yield found.field("incomplete", f"the words do not hold the clause {sentence!r}", "repeat it word by word")
    elif not NEGATED.search(sentence):
        yield found.field("incomplete", f"the clause {sentence!r} denies nothing", f"say e.g. {CLAUSE!r}")


def _examples(found: Finder, task: Task) -> Iterator[TemplateProblem]:
    """Problems of examples: wrong variables, or an answer that parses although it should be refused, or vice versa."""
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
        for name in sorted({n for n, _ in found.names()} & {*task.known} - {*example.variables, SHOWN}):
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
    """Why the JSON Schema refuses the values read from an answer, as its reader writes them; "" where it does not.

    Only answers in the very form that is asked for are held to it: those of which nothing was bent.
    """
    form = FORMATS[template.output]
    schema = form.schema(template) if form.schema else None
    if schema is None or form.read(answer, template).bends:
        return ""
    try:
        values = json.loads(answer)
    except ValueError:
        return ""
    errors = jsonschema.Draft202012Validator(schema).iter_errors(values)
    return next((e.message for e in errors), "")
