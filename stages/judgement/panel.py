"""Asks the judge k times and lets the majority decide; every stage that judges uses it. All answers are kept.

If the answers disagree and the recipe names an arbiter, the arbiter decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, cast

from PIL import Image
from pydantic import Field

from underpaint.schemas.scenes.critique import Critique, Side, Verdict
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.answers.answer import CritiqueError, Read
from underpaint.stages.common.asking import Job, Said, ask_and_read, job_for, request_for
from underpaint.stages.common.checkers import weakest
from underpaint.stages.common.critique_formats import QUESTIONS, answer_schema, read_as_critique
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.roles import Answer, AskRequest, Speaker
from underpaint.stages.common.rows import Float32, Int16
from underpaint.stages.common.stage import Context
from underpaint.stages.common.templating import Template
from underpaint.stages.judgement.grading import grade
from underpaint.stages.judgement.text_checks import BY_GRAMMAR, Checked, SecondCheckParams
from underpaint.stages.judgement.weighing import Counted, Found, Heard, weigh
from underpaint.stages.judgement.yes_no import questions_about


class JudgedColumns(TypedDict):
    """What a judge said of something, and how sure it was."""

    verdict: str
    critique: str
    template: str
    template_sha256: str
    agreement: Float32  # share of the judge's answers on the verdict's side; those that do not count are on neither
    answers: list[str]  # raw, in order of attempt
    unread: Int16  # how many of them could not be read
    bends: list[str]  # the kinds of what was bent to read the others, once an answer, sorted
    graded: Float32 | None  # the probability that the model gave to "no conflict", in [0, 1]; None where it gave none
    arbiter: str  # the arbiter's raw answer, "" where it was not asked
    decided_by: str  # judge, arbiter or grammar
    checked_by: str  # who checked that it holds: grammar, model or nobody
    checks: list[str]  # what models said of it where the grammar could not read, e.g. "check_critique: yes, …"


def judged_columns(row: JudgedColumns) -> JudgedColumns:
    """A row's columns about its judgement, and no others."""
    return cast(JudgedColumns, {name: row[name] for name in JudgedColumns.__annotations__})  # type: ignore[literal-required]


def also_checked(row: JudgedColumns, checked: Checked) -> JudgedColumns:
    """A row's columns about its judgement, with what came of further checks of its texts."""
    columns = judged_columns(row)
    columns["checked_by"] = weakest(row["checked_by"], checked.checked_by)
    columns["checks"] = [*row["checks"], *checked.said]
    return columns


def settled_agreement(row: JudgedColumns) -> float:
    """How sure a judgement is, in [0, 1]: what an arbiter decided is settled, however far the answers disagreed."""
    return 1.0 if row["decided_by"] == "arbiter" else float(row["agreement"])


@dataclass(frozen=True)
class Question:
    """One step to be judged from one side. `unit` names it in the quarantine and in its seeds.

    `template` is the id of the template to ask with, if the question follows up another; else one is drawn by weight.
    """

    unit: Unit
    side: Side
    variables: dict[str, str]
    picture: Image.Image | None = None
    template: str = ""
    before: Image.Image | None = None  # the picture that the step begins with; None is the blank canvas
    scene: SceneGraph | None = None  # what the prompt asks for; None where only its text says so

    @property
    def pictures(self) -> dict[str, Image.Image | None]:
        """What a template may show."""
        return {"before": self.before, "after": self.picture}


@dataclass(frozen=True)
class Judged:
    """The critique that counts: the majority's, or the arbiter's; see `JudgedColumns`."""

    critique: Critique
    agreement: float
    template: Template
    answers: list[str]
    unread: int = 0
    bends: tuple[str, ...] = ()
    graded: float | None = None
    arbiter: str = ""
    decided_by: Literal["judge", "arbiter", "grammar"] = "judge"
    checked: Checked = BY_GRAMMAR

    @property
    def conflict(self) -> bool:
        """Whether the verdict is conflict."""
        return self.critique.verdict is Verdict.CONFLICT

    def row(self) -> JudgedColumns:
        """The columns of a table."""
        return {
            "verdict": self.critique.verdict.value,
            "critique": self.critique.to_json(),
            "template": self.template.id,
            "template_sha256": self.template.digest,
            "agreement": self.agreement,
            "answers": self.answers,
            "unread": self.unread,
            "bends": sorted(self.bends),
            "graded": self.graded,
            "arbiter": self.arbiter,
            "decided_by": self.decided_by,
            "checked_by": self.checked.checked_by,
            "checks": list(self.checked.said),
        }


@dataclass(frozen=True)
class Votes:
    """The judge's answers to a question, those that count, and in `error` why the last of the others does not.

    `own` are the critiques that count as the judge gave them; with `observations: conclude` those counted may differ.
    """

    question: Question
    template: Template
    said: Sequence[Said[Critique]]  # k of them
    counted: list[Counted]
    own: list[Critique]
    error: Exception | None
    checks: Sequence[str] = ()  # the digests of the requests of checks that failed

    @property
    def critiques(self) -> list[Critique]:
        """Those that count."""
        return [c.critique for c in self.counted]

    @property
    def texts(self) -> list[str]:
        """The answers, each in its last form; the model's error where it gave none."""
        return [s.text for s in self.said]

    def on_side(self, conflict: bool) -> list[Critique]:
        """The critiques whose verdict is (or is not) conflict."""
        return [c for c in self.critiques if (c.verdict is Verdict.CONFLICT) == conflict]

    def agreement(self, conflict: bool) -> float:
        """Their share of all answers, those included that do not count; in [0, 1]."""
        return len(self.on_side(conflict)) / len(self.texts)

    def decide(self) -> Judged | Failure:
        """Decide by majority whether it is a conflict; of the majority's critiques take the most frequent one.

        On a tie between critiques the first counts. A tie between verdicts is a failure.
        """
        against, others = len(self.on_side(True)), len(self.on_side(False))
        if against == others:
            tie = CritiqueError(f"the judge's answers are divided {against} to {others}")
            return self._failure(tie if against else self.error or tie)
        majority = self.on_side(against > others)
        most = max(majority, key=majority.count)
        author: Literal["judge", "grammar"] = "judge" if most in self.own else "grammar"
        return self.judged(next(c for c in self.counted if c.critique == most), against > others, author)

    def judged(self, found: Counted, conflict: bool, by: Literal["judge", "arbiter", "grammar"]) -> Judged:
        """The result with this critique, which is (or is not) a conflict."""
        return Judged(
            found.critique, self.agreement(conflict), self.template, self.texts,
            unread=sum(s.value is None for s in self.said), bends=tuple(b for s in self.said for b in s.bends),
            graded=grade(self.said, self.template.output), decided_by=by, checked=found.checked,
        )  # fmt: skip

    def _failure(self, error: Exception) -> Failure:
        asked = [request for s in self.said for request in s.requests]
        words, side = "\n".join(self.texts), self.question.side.value
        failure = Failure.of(self.question.unit, error, self.said[0].requests[0].text, words, side=side, asked=asked)
        return replace(failure, requests=[*failure.requests, *self.checks])


class JudgeParams(SecondCheckParams):
    """How a judge is asked."""

    answers: int = Field(default=1, ge=1, le=15, description="times a question is put; the majority decides")
    temperature: float = Field(
        default=0.5, ge=0, le=2, description="of the judge; 0 is used where there is one answer only"
    )
    observations: Literal["ignore", "require", "conclude"] = Field(
        default="ignore",
        description="what is done with what the judge says it observed, where the grammar can read it: ignore it;"
        " require that the answer follows from it, or else not count the answer; conclude from it, whatever the answer"
        " concluded itself (docs/judging.md)",
    )
    arbitrate_below: float = Field(
        default=1.0, ge=0, le=1,
        description="the recipe's arbiter is asked where the judge's agreement is below this: 1 is any disagreement,"
        " 0 never",
    )  # fmt: skip


def shows(context: Context[Any], name: str) -> bool:
    """Whether a template about pictures may show this one ("before"), so that it must be decoded."""
    return any(name in t.pictures for t in context.templates["critique_picture"])


def judge(
    context: Context[Any], questions: Sequence[Question], params: JudgeParams, ledger: Ledger
) -> tuple[list[Votes], list[Judged | Failure]]:
    """Ask all questions in one batch and let the majority decide, or the arbiter where the agreement is too low.

    Returns the answers, and what was decided from them. The ledger counts the answers to checks of them.
    """
    votes = ask_votes(context, questions, params, ledger)
    found = [v.decide() for v in votes]
    if "arbiter" not in context.models:
        return votes, found
    open_ones = [i for i, f in enumerate(found) if _agreement(f) < params.arbitrate_below]
    jobs = []
    for i in open_ones:
        seed = context.seed_for(str(questions[i].unit), "arbiter")
        request = replace(votes[i].said[0].requests[0], seed=seed, temperature=0.0)
        jobs.append(_job(context.models["arbiter"], request, votes[i].template))
    said = ask_and_read(jobs)
    heard = [
        _heard(questions[i], votes[i].template, s.value, "ignore")
        for i, s in zip(open_ones, said, strict=True)
        if s.value
    ]
    counted = iter(weigh(context, heard, params.second_check, ledger))
    for i, one in zip(open_ones, said, strict=True):
        found[i] = _arbitrated(votes[i], found[i], one, next(counted) if one.value else one.error)
    return votes, found


def _job(speaker: Speaker, request: AskRequest, template: Template) -> Job[Critique]:
    def read(answer: Answer) -> Read[Critique]:
        return read_as_critique(template, answer, request.context)

    return job_for(speaker, template, request, read)


def ask_votes(context: Context[Any], questions: Sequence[Question], params: JudgeParams, ledger: Ledger) -> list[Votes]:
    """The judge's answers to all questions, asked in one batch; nothing is decided yet.

    The ledger counts the answers to checks of them, not these: the caller knows which of them are canaries.
    """
    answers, temperature = params.answers, params.temperature if params.answers > 1 else 0.0
    jobs, templates = [], []
    for q in questions:
        template = context.pick_template(f"critique_{q.side.value}", q.unit, q.template)
        templates.append(template)
        variables = dict(q.variables)
        if QUESTIONS in template.names:
            variables[QUESTIONS] = questions_about(q.variables["description"], context.vocabulary)
        form = answer_schema(template, variables)
        first = request_for(template, variables, 0, temperature=temperature, pictures=q.pictures, schema=form)
        for k in range(answers):
            request = replace(first, seed=context.seed_for(str(q.unit), q.side.value, k))
            jobs.append(_job(context.speaker(template), request, template))
    said = ask_and_read(jobs)
    per_question = [said[i * answers : (i + 1) * answers] for i in range(len(questions))]
    asked = list(zip(questions, templates, per_question, strict=True))
    heard = [_heard(q, t, s.value, params.observations) for q, t, mine in asked for s in mine if s.value]
    found = iter(weigh(context, heard, params.second_check, ledger))
    return [count_votes(q, t, mine, [next(found) if s.value else s.error for s in mine]) for q, t, mine in asked]


def _heard(question: Question, template: Template, critique: Critique, how: str) -> Heard:
    # Scene graphs know no kind of a template's own, and only this format says what was observed item by item.
    own = bool(template.kinds) or template.output != "critique/1"
    return Heard(question.unit, question.side, question.variables, question.scene, how, own, critique)


def count_votes(
    question: Question, template: Template, said: Sequence[Said[Critique]], found: Sequence[Found | Exception | None]
) -> Votes:
    """Sort out the answers that do not count: errors of the model, and answers that do not parse or do not follow.

    `found` says of each answer what came of weighing it, or the error for which it was not weighed.
    """
    counted: list[Counted] = []
    own: list[Critique] = []
    error: Exception | None = None
    checks: list[str] = []
    for one, weighed in zip(said, found, strict=True):
        if isinstance(weighed, Counted):
            counted.append(weighed)
            own += [one.value] if one.value else []
        elif isinstance(weighed, Failure):
            error = CritiqueError(f"whether it follows was not answered: {weighed.message}")
            checks += weighed.requests
        else:
            error = weighed
    return Votes(question, template, said, counted, own, error, checks)


def _arbitrated(
    votes: Votes, before: Judged | Failure, said: Said[Critique], found: Found | Exception | None
) -> Judged | Failure:
    """Let the arbiter's critique decide. If it gives none that counts, the judge's result stays."""
    if isinstance(found, Counted):
        decided = votes.judged(found, found.critique.verdict is Verdict.CONFLICT, "arbiter")
        return replace(decided, arbiter=said.text)
    if isinstance(before, Judged):
        return replace(before, arbiter=said.text)
    why = found.message if isinstance(found, Failure) else found
    also = found.requests if isinstance(found, Failure) else ()
    return replace(
        before, message=f"{before.message}; the arbiter: {why}", response=f"{before.response}\n{said.text}",
        requests=[*before.requests, *(r.digest for r in said.requests), *also],
    )  # fmt: skip


def _agreement(found: Judged | Failure) -> float:
    return found.agreement if isinstance(found, Judged) else 0.0
