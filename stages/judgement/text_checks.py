"""The second way of a check: where the grammar cannot read a step's texts, a model is asked what it would have checked.

Every check is a question of its own template; yes means that all is well. Models give a reason before they answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.answers.answer import AnswerError
from underpaint.stages.answers.check_answer import CheckAnswer, check_schema, read_check
from underpaint.stages.common.asking import Job, Said, ask_and_read, job_for, request_for
from underpaint.stages.common.checkers import weakest
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.roles import AskRequest
from underpaint.stages.common.stage import Context, Params
from underpaint.stages.common.templating import Template
from underpaint.stages.judgement.step_consistency import disagreement

# Instruction and description say the same; a step keeps what is wanted; the prompt can be met after it; a correction
# leads on; a critique follows from what it observed; a correction mends all that is wrong with a picture.
AGREEMENT, KEEPS, REACH = "check_agreement", "check_keeps", "check_reach"
CORRECTION, CRITIQUE, MENDING = "check_correction", "check_critique", "check_mending"
CHECK_TASKS = (AGREEMENT, KEEPS, REACH, CORRECTION, CRITIQUE, MENDING)


class SecondCheckParams(Params):
    """Who checks what the grammar cannot read."""

    second_check: Literal["model", "none"] = Field(
        default="model",
        description="who checks texts that the grammar cannot read: the judge, asked by the templates `check_…`, or"
        " nobody; `select.checked_by` says whether samples that nobody checked ship",
    )

    def unused_tasks(self) -> frozenset[str]:
        """The checks, where no model makes them."""
        return frozenset(CHECK_TASKS if self.second_check == "none" else ())


@dataclass(frozen=True)
class Check:
    """One rule for one row.

    `found` is what the grammar says: why the rule is broken, "" where it is kept, None where it cannot read the texts.
    """

    unit: Unit
    task: str
    variables: dict[str, str]
    found: str | None
    broken: str  # why the row is left out where a model says that the rule is broken


@dataclass(frozen=True)
class Checked:
    """What came of a row's checks: the first rule that is broken, "" where none is, and who says so."""

    why: str = ""
    checked_by: str = "grammar"  # one of CHECKERS
    said: tuple[str, ...] = ()  # the models' answers, as "check_keeps: yes, …"


BY_GRAMMAR = Checked()  # where the grammar could read all


def settle(
    context: Context[Any], rows: Sequence[Sequence[Check]], second: str, ledger: Ledger
) -> list[Checked | Failure]:
    """What comes of every row's checks; all questions to models are asked in one batch, and equal ones once.

    Of a row of which the grammar says that a rule is broken, nothing is asked. A question without an answer that can be
    read fails its row. `second` is a value of `SecondCheckParams.second_check`. The ledger counts the answers.
    """
    open_ones = [check for row in rows if second == "model" for check in _open(row)]
    asked = {_key(check): check for check in open_ones}
    templates = [context.pick_template(check.task, check.unit) for check in asked.values()]
    jobs = [_job(context, check, template) for check, template in zip(asked.values(), templates, strict=True)]
    said = dict(zip(asked, ask_and_read(jobs), strict=True))
    for template, one in zip(templates, said.values(), strict=True):
        ledger.heard[template.id].hear([one])
    return [_settled(row, said) for row in rows]


def agreement_check(unit: Unit, so_far: str, instruction: str, description: str, words: Vocabulary) -> Check:
    """Whether a step's instruction and description agree; if not, nobody knows what its draft should show."""
    variables = {"so_far": so_far, "instruction": instruction, "description": description}
    found = disagreement(so_far, instruction, description, words)
    return Check(unit, AGREEMENT, variables, found, "instruction and description disagree")


def about_prompt(prompt: str, wanted: SceneGraph | None, vocabulary: Vocabulary) -> dict[str, str]:
    """What a check is told of the prompt: its words and, where its scene is known, all that it asks for."""
    return {"prompt": prompt, "facts": describe(wanted, vocabulary) if wanted else ""}


def wanted_scene(scene: str) -> SceneGraph | None:
    """The scene of a prompt's row; None where it has none, or names nothing."""
    graph = SceneGraph.model_validate_json(scene) if scene else SceneGraph()
    return graph if graph.objects or graph.background else None


def _open(row: Sequence[Check]) -> list[Check]:
    return [] if any(check.found for check in row) else [check for check in row if check.found is None]


def _key(check: Check) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    return str(check.unit), check.task, tuple(check.variables.items())


def _job(context: Context[Any], check: Check, template: Template) -> Job[CheckAnswer]:
    seed = context.seed_for(str(check.unit), check.task)
    request: AskRequest = request_for(template, check.variables, seed, schema=check_schema())
    return job_for(context.speaker(template), template, request, read_check)


def _settled(row: Sequence[Check], said: dict[Any, Said[CheckAnswer]]) -> Checked | Failure:
    """The row's result. `said` holds the models' answers; a check that was not put to a model is checked by nobody."""
    if found := next((check.found for check in row if check.found), ""):
        return Checked(found, "grammar")
    by, words, why = ["grammar"], list[str](), ""
    for check in row:
        if check.found is not None:
            continue
        answer = said.get(_key(check))
        if answer is None:
            by.append("nobody")
            continue
        if answer.value is None:
            error = answer.error or AnswerError("no answer")
            return Failure.of(check.unit, error, answer.requests[0].text, answer.text, asked=answer.requests)
        by.append("model")
        words.append(f"{check.task}: {answer.value.answer}, {answer.value.why}")
        if answer.value.answer == "no":
            why = why or f"{check.broken}, says a model"
    return Checked(why, weakest(*by), tuple(words))
