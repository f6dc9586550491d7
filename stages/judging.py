"""What every stage that judges shares: ask the judge k times, let the majority decide, keep every answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from PIL import Image
from pydantic import Field

from schemas.critique import Critique, CritiqueError, Judgement, Side, parse_critique
from stages.consequence import weigh_observations
from stages.models.roles import AskRequest
from stages.pictures import each
from stages.stage import Context, Failure, Params
from stages.templating import Template


@dataclass(frozen=True)
class Question:
    """One step to be judged from one side. `unit` names it in the quarantine and in its seeds."""

    unit: str
    side: Side
    variables: dict[str, str]
    picture: Image.Image | None = None


@dataclass(frozen=True)
class Judged:
    """The majority's critique; `agreement` is the share of all answers (unparsable ones too) on its side."""

    critique: Critique
    agreement: float
    template: Template
    answers: list[str]

    @property
    def conflict(self) -> bool:
        return self.critique.verdict is Judgement.CONFLICT

    def row(self) -> dict[str, Any]:
        return {
            "verdict": self.critique.verdict.value,
            "critique": self.critique.to_json(),
            "template": self.template.id,
            "template_sha256": self.template.digest,
            "agreement": self.agreement,
            "answers": self.answers,
        }


def pick_template(context: Context, task: str, unit: str) -> Template:
    """One of the task's templates by weight, the same for a unit in every run."""
    templates = context.templates[task]
    return context.random_for("template", unit).choices(templates, [t.weight for t in templates])[0]


class JudgeParams(Params):
    """How a judge is asked: `answers` times a question, at `temperature` (0 where there is one answer only).

    `observations` says what is done with what the judge observed, where the grammar can read it
    (stages/consequence.py): "ignore" it; "require" that the answer follows from it, or not count the answer;
    "conclude" from it, whatever the answer concluded itself (where only the verdict is of use).
    """

    answers: int = Field(default=1, ge=1, le=15)
    temperature: float = Field(default=0.5, ge=0, le=2)
    observations: Literal["ignore", "require", "conclude"] = "ignore"


def judge(context: Context, questions: Sequence[Question], params: JudgeParams) -> list[Judged | Failure]:
    """Ask about every question in one batch and let the majority decide; see `_decide`."""
    answers, temperature = params.answers, params.temperature if params.answers > 1 else 0.0
    requests, templates = [], []
    for q in questions:
        template = pick_template(context, f"critique_{q.side.value}", q.unit)
        text = template.render(**q.variables)
        templates.append(template)
        for k in range(answers):
            requests.append(
                AskRequest(
                    task=template.task, text=text, seed=context.seed_for(q.unit, q.side.value, k),
                    picture=q.picture if template.picture else None, temperature=temperature,
                    context=q.variables,
                )
            )  # fmt: skip
    said = each(context.models["judge"].ask, requests)
    found = []
    for i, (q, template) in enumerate(zip(questions, templates, strict=True)):
        own = slice(i * answers, (i + 1) * answers)
        how = "ignore" if template.kinds else params.observations  # no scene graph entails a template's own kinds
        weigh = partial(weigh_observations, how, q.side, q.variables, context.vocabulary)
        found.append(_decide(q, template, requests[own.start].text, said[own], weigh))
    return found


def _decide(
    q: Question, template: Template, request: str, said: list[str | Exception], weigh: Callable[[Critique], Critique]
) -> Judged | Failure:
    """Conflict or not, by majority; then the most frequent critique among the majority's, the first on a tie."""
    parsed: list[Critique] = []
    error: Exception | None = None
    for answer in said:
        try:
            if isinstance(answer, Exception):
                raise answer
            parsed.append(weigh(parse_critique(answer, template.kinds)))
        except Exception as e:  # the model's own errors count like answers that do not parse
            error = e
    texts = [a if isinstance(a, str) else f"{type(a).__name__}: {a}" for a in said]
    if not parsed:
        assert error is not None
        return Failure.of(f"{q.unit}, {q.side.value} side", error, request, "\n".join(texts))
    against = sum(c.verdict is Judgement.CONFLICT for c in parsed)
    if 2 * against == len(parsed):
        tie = CritiqueError(f"the judge's answers are divided {against} to {against}")
        return Failure.of(f"{q.unit}, {q.side.value} side", tie, request, "\n".join(texts))
    conflict = 2 * against > len(parsed)
    majority = [c for c in parsed if (c.verdict is Judgement.CONFLICT) == conflict]
    most = max(majority, key=lambda c: sum(c == other for other in majority))
    return Judged(most, len(majority) / len(said), template, texts)
