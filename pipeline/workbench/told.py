"""Checks that a template tells a model that knows nothing of this project in what form it must answer.

A dialect is exempt: its words were taught to one model, and mean nothing to any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from underpaint.schemas.scenes.critique import Verdict
from underpaint.stages.common.critique_formats import CRITIQUE_FORMATS
from underpaint.stages.common.templating import Template, TemplateProblem
from underpaint.stages.prompting.tasks import FORMATS, Finder, parse

# What a model may be told for a type of JSON Schema.
TYPE_WORDS = {
    "string": "string|text|sentence|clause|one of|word",
    "array": "list|array",
    "object": "object",
    "integer": "integer|whole number|number",
    "number": "number",
    "boolean": "boolean|true or false|true/false",
}
PLAN = re.compile(r"<ins>.*?</des>", re.DOTALL)
WORD = re.compile(r"^\W*(\w+)\W*$", re.MULTILINE)


def told(template: Template) -> str:
    """All that a model is told by a template itself: the system message, worked examples, the body."""
    given = {name: f"‹{name}›" for name in template.names}
    given.pop("shown", None)
    shots = [shot.answer for shot in template.shots]  # their questions are the body
    return "\n".join([template.render_system(**given), *shots, template.render(shown=template.pictures, **given)])


def untold(found: Finder) -> Iterator[TemplateProblem]:
    """What the words leave out of the form of the answer: fields, types, values, what "nothing" is, worked examples."""
    template = found.template
    if template.dialect or template.output not in FORMATS:
        return
    words, form = told(template), FORMATS[template.output]
    schema = form.schema(template) if form.schema else None
    where = "system" if template.system else "output"
    prose = words  # what is said of the form, beside what is shown of it
    for shown in _objects(words):
        prose = prose.replace(shown, "")

    def problem(why: str, fix: str) -> TemplateProblem:
        return found.field(where, why, fix)

    if lacking := [name for name in form.named if name not in words]:
        why = f"the parser of {template.output} reads {', '.join(lacking)}, which the words never name"
        yield problem(why, "say in the words how to answer, naming every part")
    for name, kind, values in _fields(schema or {}, schema or {}):
        if not re.search(rf"\b{name}\b", words):
            why = f"the parser of {template.output} reads {name}, which the words never name"
            yield problem(why, "say in the words how to answer, naming every part")
        elif not re.search(rf"\b{name}\b.*\b(?:{TYPE_WORDS[kind]})s?\b", prose, re.IGNORECASE):
            fix = f'write a line such as "{name}": {TYPE_WORDS[kind].split("|")[0]}, and what it holds'
            yield problem(f"the words do not say of which type {name} is: {kind}", fix)
        if unnamed := [value for value in values if not re.search(rf"\b{value}\b", words)]:
            why = f"the words never name {', '.join(map(repr, unnamed))}, which {name} may be"
            yield problem(why, "say what each value means, or no model can choose it")
    for kind in (*template.kinds, *template.labels):
        if template.output == "label/1" and kind in template.kinds:
            continue  # no answer of this form names a kind
        if not schema and not re.search(rf"\b{kind}\b", words):
            yield problem(f"the words never name {kind!r}", "say when it is to be used, or drop it")
    if schema and "correction" in schema["properties"] and not re.search(r'\bcorrection\b.*""', prose):
        yield problem(
            'the words do not say that correction is "" where nothing is wrong',
            'write e.g. "correction": string, the corrected instruction; "" where nothing is wrong',
        )
    yield from _worked(found, words, schema is not None, where)


def _fields(part: Any, root: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """(name, type, the values it may have) of every required or typed field of a schema, those inside included."""
    if isinstance(part, dict):
        if "$ref" in part:
            yield from _fields(root["$defs"][part["$ref"].rpartition("/")[2]], root)
        for name, field in part.get("properties", {}).items():
            values = field.get("enum", [])
            yield name, str(field.get("type", "string")), [v for v in values if isinstance(v, str)]
            yield from _fields(field, root)
        yield from _fields(part.get("items"), root)


def _worked(found: Finder, words: str, is_json: bool, where: str) -> Iterator[TemplateProblem]:
    """Problems of the worked examples: none that can be read, or none of a verdict that the template may give."""
    template = found.template
    if template.output == "text/1":
        return
    if template.output == "label/1":
        answers = [shot.answer for shot in template.shots] or _labelled(template, words)
    else:
        answers = _objects(words) if is_json else PLAN.findall(words)
    read = []
    for answer in answers:
        try:
            read.append(parse(template, answer))
        except ValueError:
            continue
    if not read:
        yield found.field(where, "no worked example of an answer can be read", "show one answer in full, or a shot")
    elif template.output in CRITIQUE_FORMATS:
        lacking = [v for v in _verdicts(template) if v not in {r["verdict"] for r in read}]
        if lacking:
            why = f"no worked example has the verdict {' or '.join(map(repr, lacking))}"
            yield found.field(where, why, "show an answer in full for each verdict, in the words or as a shot")


def _verdicts(template: Template) -> list[str]:
    """The verdicts that answers to a critique may have."""
    if template.output == "critique/1":
        return [*map(str, Verdict)]
    return [*map(str, dict.fromkeys(template.labels.values()) or (Verdict.CONSISTENT, Verdict.CONFLICT))]


def _objects(words: str) -> list[str]:
    """Every JSON object that stands in the words."""
    found, at = [], words.find("{")
    while at >= 0:
        try:
            _, end = json.JSONDecoder().raw_decode(words, at)
            found.append(words[at:end])
        except ValueError:
            end = at + 1
        at = words.find("{", end)
    return found


def _labelled(template: Template, words: str) -> list[str]:
    """The passages of the words that end with a label on a line of its own."""
    found, start = [], 0
    for line in WORD.finditer(words):
        if line[1] in template.labels:
            found.append(words[start : line.end()])
            start = line.end()
    return found
