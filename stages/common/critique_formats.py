"""The forms in which a judge may answer, by the name that a template gives as `output`; each is read as a critique."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from underpaint.schemas.scenes.critique import Critique, Verdict
from underpaint.stages.answers.answer import Read, Said
from underpaint.stages.answers.critique import critique_schema, read_critique
from underpaint.stages.answers.label import read_label
from underpaint.stages.answers.questions import questions_schema, read_questions
from underpaint.stages.common.templating import Template

QUESTIONS = "questions"  # the variable that holds the questions made by the grammar, one a line


@dataclass(frozen=True)
class CritiqueFormat:
    """How an answer is read, and the JSON Schema that it can be held to; None where it is no JSON.

    Both take the template, and the variables with which it was rendered.
    """

    read: Callable[[str | Said, Template, Mapping[str, str]], Read[Critique]]
    schema: Callable[[Template, Mapping[str, str]], dict[str, Any]] | None


def _least(variables: Mapping[str, str]) -> int:
    """How many questions must be answered: those that the grammar made, and at least one."""
    return max(1, len(variables.get(QUESTIONS, "").splitlines()))


CRITIQUE_FORMATS = {
    "critique/1": CritiqueFormat(
        lambda answer, t, _: read_critique(answer, t.kinds, t.fields, t.yes_means and Verdict(t.yes_means)),
        lambda t, _: critique_schema(t.kinds, t.fields),
    ),
    "questions/1": CritiqueFormat(
        lambda answer, t, given: read_questions(answer, t.kinds, _least(given)),
        lambda t, given: questions_schema(t.kinds, _least(given)),
    ),
    "label/1": CritiqueFormat(
        lambda answer, t, _: read_label(answer, {k: Verdict(v) for k, v in t.labels.items()}, t.kinds[0]), None
    ),
}


def read_as_critique(
    template: Template, answer: str | Said, variables: Mapping[str, str] | None = None
) -> Read[Critique]:
    """The critique in an answer to a template. Raises stages.answers.answer.CritiqueError."""
    return CRITIQUE_FORMATS[template.output].read(answer, template, variables or {})


def answer_schema(template: Template, variables: Mapping[str, str] | None = None) -> dict[str, Any] | None:
    """The JSON Schema of the answers to a critique template; None where they are no JSON."""
    schema = CRITIQUE_FORMATS[template.output].schema
    return schema(template, variables or {}) if schema else None
