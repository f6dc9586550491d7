"""Asks a template's model about stored steps as a build would, with the same seeds, majority, reader and second ask."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from underpaint.pipeline.common.errors import BuildError, UserError
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.workbench.subjects import Subject
from underpaint.schemas.scenes.critique import Side
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import critique, rollout
from underpaint.stages.answers.answer import AnswerError
from underpaint.stages.common.asking import Said, ask_and_read, job_for, request_for
from underpaint.stages.common.ledger import Failure, Ledger
from underpaint.stages.common.roles import AskRequest, ModelUnavailable
from underpaint.stages.common.seeds import derive_seed
from underpaint.stages.common.stage import Context, Lot
from underpaint.stages.common.templating import Template
from underpaint.stages.judgement.panel import Question, ask_votes
from underpaint.stages.judgement.text_checks import CHECK_TASKS
from underpaint.stages.prompting.tasks import FORMATS, TASKS


@dataclass(frozen=True)
class Answered:
    """The model's answers about one step; `parsed` is what was read from them, None where nothing could be read."""

    subject: Subject
    request: str  # the system message and the words of the question
    answers: list[str]
    parsed: dict[str, Any] | None
    agreement: float = 1.0
    error: str = ""
    kinds: tuple[str, ...] = field(default=())  # of the findings
    unread: tuple[str, ...] = ()  # why an answer could not be read, one an answer
    bends: tuple[str, ...] = ()  # what was bent to read the others, once an answer
    graded: float | None = None  # the probability of "no conflict", where the model gives any

    @property
    def verdict(self) -> str:
        """The verdict: "consistent", "incomplete", "conflict", or "unread" where nothing could be read."""
        return str(self.parsed["verdict"]) if self.parsed else "unread"


def load_model(run: Run, template: Template) -> Any:
    """Load the model that a template is put to: the one that it names, or the one that plays its role."""
    recipe = run.recipe
    return (recipe.models[template.model] if template.model else recipe.model_for(template.role)).load()


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


def summary_lines(answered: Sequence[Answered]) -> list[str]:
    """What came of all questions: answers read and unread, the latter by reason, what was bent by kind, verdicts."""
    asked, unread = sum(len(a.answers) for a in answered), Counter(why for a in answered for why in a.unread)
    bends = Counter(bend for a in answered for bend in a.bends)
    lost = unread.total()
    line = f"{len(answered)} steps: {asked} answers, {asked - lost} read, {lost} unread"
    parts = [line + (f" ({_counted(unread)})" if unread else "")]
    parts += [f"bent to be read: {_counted(bends)}"] if bends else []
    if any(a.parsed and "verdict" in a.parsed for a in answered):
        parts.append(f"verdicts: {_counted(Counter(a.verdict for a in answered))}")
    graded = [a.graded for a in answered if a.graded is not None]
    parts += [f"mean probability of no conflict: {sum(graded) / len(graded):.2f}"] if graded else []
    return ["; ".join(parts)]


def _counted(found: Counter[str]) -> str:
    return ", ".join(f"{n} {what}" for what, n in found.most_common())


def _variables(template: Template, subject: Subject) -> dict[str, str]:
    return {k: v for k, v in subject.variables.items() if k in TASKS[template.task].known}


def _words(request: AskRequest) -> str:
    return f"{request.system}\n\n{request.text}".strip()


def _unread(said: Sequence[Said[Any]]) -> tuple[str, ...]:
    """Why each answer that was not read could not be; of those that do not follow from themselves, the words say it."""
    errors = [s.error for s in said if s.value is None]
    return tuple(e.reason if isinstance(e, AnswerError) else type(e).__name__ for e in errors)


def _judge(run: Run, model: Any, template: Template, subjects: Sequence[Subject], words: Vocabulary) -> list[Answered]:
    params = run.recipe.params(critique.STAGE)
    side = Side(template.task.removeprefix("critique_"))
    checks = {task: t for task, t in run.recipe.all_templates().items() if task in CHECK_TASKS}
    context = Context(
        "critique", run.recipe.seed, Lot(0, run.recipe.lot_size), params, words, {"judge": model},
        {**checks, template.task: [template.model_copy(update={"weight": 1.0})]}, {template.model: model},
    )  # fmt: skip
    questions = []
    for subject in subjects:
        shown = subject.pictures(template)
        picture, before = shown.get("after"), shown.get("before")
        told = _variables(template, subject)
        questions.append(Question(subject.unit, side, told, picture, before=before, scene=subject.scene))
    found = []
    for subject, votes in zip(subjects, ask_votes(context, questions, params, Ledger()), strict=True):
        result, said = votes.decide(), votes.said
        request, why = _words(said[0].requests[0]), _unread(said)
        bends = tuple(bend for s in said for bend in s.bends)
        if isinstance(result, Failure):
            error = f"{result.error}: {result.message}"
            found.append(Answered(subject, request, votes.texts, None, 0.0, error, unread=why, bends=bends))
            continue
        parsed = json.loads(result.critique.to_json())
        kinds = tuple(f["kind"] for f in parsed["findings"])
        found.append(
            Answered(
                subject, request, votes.texts, parsed, result.agreement, kinds=kinds, unread=why, bends=bends,
                graded=result.graded,
            )
        )  # fmt: skip
    return found


def _write(run: Run, model: Any, template: Template, subjects: Sequence[Subject]) -> list[Answered]:
    """Ask the writer for a step with the temperature of `rollout`, anyone for anything else greedily."""
    jobs, steps = [], template.task == "write"
    temperature = run.recipe.params(rollout.STAGE).temperature if steps else 0.0
    form = FORMATS[template.output]
    schema = form.schema(template) if form.schema else None
    for subject in subjects:
        seed = derive_seed(run.recipe.seed, "rollout", *subject.key, "write") if steps else 0
        known, shown = _variables(template, subject), subject.pictures(template)
        request = request_for(template, known, seed, temperature=temperature, pictures=shown, schema=schema)
        jobs.append(job_for(model, template, request, lambda said: form.read(said, template)))
    found = []
    for subject, said in zip(subjects, ask_and_read(jobs), strict=True):
        words, answers = _words(said.requests[0]), [answer.text for answer in said.answers]
        error = "" if said.error is None else f"{type(said.error).__name__}: {said.error}"
        agreement = 1.0 if said.value is not None else 0.0
        bends, why = said.bends, _unread([said])
        found.append(Answered(subject, words, answers, said.value, agreement, error, unread=why, bends=bends))
    return found
