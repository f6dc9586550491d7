"""Runs a template's examples as unit tests: what they render to, and what the parser reads from their answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import jinja2

from underpaint.stages.common.templating import Template, TemplateExample
from underpaint.stages.prompting.tasks import parse


@dataclass(frozen=True)
class Tested:
    """The result of one example; `wrong` says what is wrong, "" where it passes."""

    template: str
    example: str
    wrong: str


def run_examples(template: Template) -> Iterator[Tested]:
    """Render and parse every example of a template, without a model."""
    for example in template.examples:
        yield Tested(template.id, example.name, _rendered(template, example) or _parsed(template, example))


def _rendered(template: Template, example: TemplateExample) -> str:
    try:
        request = template.render(**example.variables)
    except jinja2.TemplateError as e:
        return f"does not render: {e}"
    if example.request and request != example.request.strip():
        return f"renders to {request!r}, not to {example.request.strip()!r}"
    return ""


def _parsed(template: Template, example: TemplateExample) -> str:
    try:
        found = parse(template, example.answer)
    except ValueError as e:
        if not example.refused:
            return f"the answer does not parse: {e}"
        return "" if example.refused in str(e) else f"refused with {str(e)!r}, not with {example.refused!r}"
    if example.expect is None:
        return f"the answer parses, though {example.refused!r} should refuse it"
    different = [(k, found.get(k), v) for k, v in example.expect.items() if found.get(k) != v]
    return "; ".join(f"{field} is {got!r}, not {expected!r}" for field, got, expected in different)
