"""Asks a template's model about stored steps as a build would, with the same seeds, majority and parser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from underpaint.pipeline.common.errors import BuildError, UserError
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.workbench.subjects import Subject
from underpaint.schemas.scenes.critique import Side
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import critique, rollout
from underpaint.stages.common.asking import request_for
from underpaint.stages.common.ledger import Failure
from underpaint.stages.common.roles import ModelUnavailable, answer_of, each
from underpaint.stages.common.seeds import derive_seed
from underpaint.stages.common.stage import Context, Lot
from underpaint.stages.common.templating import Template
from underpaint.stages.judgement.panel import Question, judge
from underpaint.stages.judgement.text_checks import CHECK_TASKS
from underpaint.stages.prompting.tasks import TASKS, parse


@dataclass(frozen=True)
class Answered:
    """The model's answers about one step; `parsed` is what was read from them, None where nothing could be read."""

    subject: Subject
    request: str
    answers: list[str]
    parsed: dict[str, Any] | None
    agreement: float = 1.0
    error: str = ""
    kinds: tuple[str, ...] = field(default=())  # of the findings

    @property
    def verdict(self) -> str:
        """The verdict: "consistent", "incomplete", "conflict", or "unread" where nothing could be read."""
        return str(self.parsed["verdict"]) if self.parsed else "unread"


def load_model(run: Run, template: Template) -> Any:
    """Load the model that plays the template's role in the recipe."""
    return run.recipe.model_for(template.role).load()


def ask(
    run: Run, model: Any, template: Template, subjects: Sequence[Subject], words: Vocabulary | None = None
) -> list[Answered]:
    """One result per subject, in order. No model but the given one is used; nothing is stored.

    `words` is the vocabulary of the subjects, by default the recipe's. Raises BuildError; UserError where the template
    asks about something that stored steps have not.
    """
    for name in TASKS[template.task].variables:
        if subjects and name not in subjects[0].variables:
            raise UserError(f"{template.id}: no stored step has {name}; `underpaint templates test` tries its examples")
    try:
        if template.task.startswith("critique_"):
            return _judge(run, model, template, subjects, words or run.recipe.words())
        return _write(run, model, template, subjects)
    except ModelUnavailable as e:
        raise BuildError(f"the {template.role} cannot answer: {e}") from None


def _variables(template: Template, subject: Subject) -> dict[str, str]:
    return {k: v for k, v in subject.variables.items() if k in TASKS[template.task].known}


def _judge(run: Run, model: Any, template: Template, subjects: Sequence[Subject], words: Vocabulary) -> list[Answered]:
    params = run.recipe.params(critique.STAGE)
    side = Side(template.task.removeprefix("critique_"))
    checks = {task: t for task, t in run.recipe.all_templates().items() if task in CHECK_TASKS}
    context = Context(
        "critique", run.recipe.seed, Lot(0, run.recipe.lot_size), params, words, {"judge": model},
        {**checks, template.task: [template]},
    )  # fmt: skip
    questions = []
    for subject in subjects:
        shown = subject.pictures(template)
        picture, before = shown.get("after"), shown.get("before")
        told = _variables(template, subject)
        questions.append(Question(subject.unit, side, told, picture, before=before, scene=subject.scene))
    found = []
    for subject, result in zip(subjects, judge(context, questions, params), strict=True):
        request = template.render(**_variables(template, subject))
        if isinstance(result, Failure):
            error = f"{result.error}: {result.message}"
            found.append(Answered(subject, request, result.response.split("\n"), None, 0.0, error))
            continue
        said = json.loads(result.critique.to_json())
        kinds = tuple(f["kind"] for f in said["findings"])
        found.append(Answered(subject, request, result.answers, said, result.agreement, kinds=kinds))
    return found


def _write(run: Run, model: Any, template: Template, subjects: Sequence[Subject]) -> list[Answered]:
    """Ask the writer for a step with the temperature of `rollout`, anyone for anything else greedily."""
    requests, steps = [], template.task == "write"
    temperature = run.recipe.params(rollout.STAGE).temperature if steps else 0.0
    for subject in subjects:
        seed = derive_seed(run.recipe.seed, "rollout", *subject.key, "write") if steps else 0
        known, shown = _variables(template, subject), subject.pictures(template)
        requests.append(request_for(template, known, seed, temperature=temperature, pictures=shown))
    found = []
    for subject, request, answer in zip(subjects, requests, each(model.ask, requests), strict=True):
        try:
            if isinstance(answer, Exception):
                raise answer
            words = answer_of(answer).text
            found.append(Answered(subject, request.text, [words], parse(template, words)))
        except Exception as e:  # the model failed, or its answer does not parse: show it; a build would quarantine it
            said = [] if isinstance(answer, Exception) else [answer_of(answer).text]
            found.append(Answered(subject, request.text, said, None, 0.0, f"{type(e).__name__}: {e}"))
    return found
