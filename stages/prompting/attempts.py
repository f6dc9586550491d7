"""Asks the writer for a text until one can be used: an answer that cannot is shown its error, then asked for anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from underpaint.stages.answers.answer import AnswerError, Read
from underpaint.stages.common.asking import REASKS, Said, ask_and_read, job_for, request_for
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.roles import Answer
from underpaint.stages.common.stage import Context
from underpaint.stages.common.templating import Template

T = TypeVar("T")


@dataclass(frozen=True)
class Question(Generic[T]):
    """What the writer is asked about one sample, and how its answer is read. `read` raises AnswerError."""

    variables: Mapping[str, str]
    read: Callable[[Answer], Read[T]]
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Written(Generic[T]):
    """What the writer wrote, and the template that it was asked with."""

    value: T
    template: Template


def ask_in_attempts(
    context: Context[Any], task: str, questions: Mapping[int, Question[T]], attempts: int, temperature: float,
    ledger: Ledger,
) -> dict[int, Written[T] | Said[T]]:  # fmt: skip
    """By sample, what was written, or the last answer and why it cannot be used. `attempts` answers are asked for.

    Every second one follows from the first's error; for a dialect each is asked for anew. All that are left are asked
    for together, to keep batches full. The ledger counts the last answer about each sample.
    """
    last: dict[int, Said[T]] = {}
    templates = {s: context.pick_template(task, Unit(s)) for s in questions}
    used = dict.fromkeys(questions, 0)
    while left := [s for s in questions if used[s] < attempts and (s not in last or last[s].value is None)]:
        jobs = []
        for sample in left:
            one, template = questions[sample], templates[sample]
            request = request_for(
                template, one.variables, context.seed_for(sample, task, used[sample]), temperature=temperature,
                schema=one.schema,
            )  # fmt: skip
            reasks = min(REASKS, attempts - used[sample] - 1)
            jobs.append(job_for(context.speaker(template), template, request, one.read, reasks))
        for sample, said in zip(left, ask_and_read(jobs), strict=True):
            used[sample] += max(1, len(said.answers))
            last[sample] = said
    found: dict[int, Written[T] | Said[T]] = {}
    for sample, said in last.items():
        ledger.heard[templates[sample].id].hear([said])
        found[sample] = said if said.value is None else Written(said.value, templates[sample])
    return found


def failure_of(sample: int, detail: str, said: Said[Any]) -> Failure:
    """The failure of a sample for which nothing usable was written; it is counted by why the last answer was not."""
    error = said.error or AnswerError("no answer")
    failure = Failure.of(Unit(sample, detail=detail), error, said.request.text, said.text, asked=said.requests)
    return replace(failure, error=f"{failure.error}: {error.reason}") if isinstance(error, AnswerError) else failure
