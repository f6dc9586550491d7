"""critique: samples k critiques of every rollout step, on both sides; the majority decides.

Text side: does the step's text contradict the prompt? Picture side: does the draft show what the step asks for?
On each side a rollout is judged up to its first fault, since later steps inherit the fault and would be blamed for it
again. A draft is not judged if its step's instruction and description disagree: nobody can tell what it should show.
Where the grammar cannot read these, a model says whether they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from pydantic import Field, field_validator

from underpaint.schemas.corpus.picture import PictureError, decode_picture
from underpaint.schemas.scenes.critique import Side
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.rows import Key, RolloutStepRow, key_of, rows, step_of
from underpaint.stages.common.stage import Context, Outcome, Stage, Tables, outcome
from underpaint.stages.judgement.canaries import WatchedParams, judge_watched
from underpaint.stages.judgement.entailment import words_for
from underpaint.stages.judgement.panel import JudgedColumns, Question, also_checked, shows
from underpaint.stages.judgement.text_checks import (
    AGREEMENT,
    CRITIQUE,
    Check,
    agreement_check,
    settle,
    wanted_scene,
)
from underpaint.stages.prompts import PromptRow
from underpaint.stages.rollout import RolloutRow

AFTER = {Side.TEXT: "follows a conflict", Side.PICTURE: "follows a flawed draft"}
UNJUDGED = {Side.TEXT: "follows a step without a verdict", Side.PICTURE: "follows a draft without a verdict"}


class CritiqueRow(RolloutStepRow, JudgedColumns):
    """What the judge said of one side of one step of a rollout."""

    side: str


class CritiqueParams(WatchedParams):
    """How the judge is asked about each step and side."""

    answers: int = Field(
        default=3, ge=1, le=15, description="times a question is put; an odd number, so that a majority exists"
    )

    @field_validator("answers")
    @classmethod
    def _odd(cls, answers: int) -> int:
        if answers % 2 == 0:
            raise ValueError(f"{answers} answers can be divided evenly; ask an odd number")
        return answers


@dataclass
class Judging:
    """The lot's steps so far. `ended` says by rollout and side why what follows is not judged."""

    prompts: dict[int, str]
    scenes: dict[int, SceneGraph | None]  # the prompts'
    steps: dict[Key, RolloutRow]
    ledger: Ledger = field(default_factory=Ledger)
    judged: list[CritiqueRow] = field(default_factory=list)
    ended: dict[tuple[int, int, Side], str] = field(default_factory=dict)

    def fail(self, row: RolloutRow, side: Side, failure: Failure) -> None:
        """A side without a verdict: nothing that follows it is judged."""
        self.ledger.fail(replace(failure, side=side.value))
        self.ended[row["sample"], row["rollout"], side] = UNJUDGED[side]


def run(context: Context[CritiqueParams], inputs: Tables) -> Outcome:
    """Judge all first steps together, then all second ones, and so on, so that batches stay full."""
    steps = rows(inputs["rollout"], RolloutRow)
    prompts = rows(inputs["prompts"], PromptRow)
    at = Judging(
        {r["sample"]: r["prompt"] for r in prompts}, {r["sample"]: wanted_scene(r["scene"]) for r in prompts},
        {key_of(r): r for r in steps},
    )  # fmt: skip
    for _, group in groupby(sorted(steps, key=lambda r: r["step"]), key=lambda r: r["step"]):
        _judge_steps(context, at, list(group))
    at.judged.sort(key=lambda r: (*key_of(r), r["side"]))
    return outcome(CritiqueRow, at.judged, at.ledger)


def _judge_steps(context: Context[CritiqueParams], at: Judging, group: Sequence[RolloutRow]) -> None:
    going = []
    for row in group:
        for side in Side:
            at.ledger.enter()
            if why := at.ended.get((row["sample"], row["rollout"], side)):
                at.ledger.reject(why)
            else:
                going.append((row, side))
    checks = [[_agreement(context, at, row)] if side is Side.PICTURE else [] for row, side in going]
    asked, questions = [], []
    settled = settle(context, checks, context.params.second_check, at.ledger)
    for (row, side), checked in zip(going, settled, strict=True):
        if isinstance(checked, Failure):
            at.fail(row, side, checked)
            continue
        if checked.why:
            at.ledger.reject(checked.why)
            at.ended[row["sample"], row["rollout"], side] = UNJUDGED[side]
            continue
        question = _question(context, at, row, side)
        if isinstance(question, Failure):
            at.fail(row, side, question)
            continue
        asked.append((row, side, checked))
        questions.append(question)
    found = judge_watched(context, questions, context.params, at.ledger, context.params.canaries)
    for (row, side, checked), result in zip(asked, found, strict=True):
        if isinstance(result, Failure):
            at.fail(row, side, result)
            continue
        if result.conflict:
            at.ended[row["sample"], row["rollout"], side] = AFTER[side]
        at.ledger.keep()
        at.judged.append({**step_of(row), "side": side.value, **also_checked(result.row(), checked)})


def _agreement(context: Context[CritiqueParams], at: Judging, row: RolloutRow) -> Check:
    words = words_for(context.vocabulary, at.scenes[row["sample"]])
    return agreement_check(Unit(*key_of(row)), row["so_far"], row["instruction"], row["description"], words)


def _question(context: Context[CritiqueParams], at: Judging, row: RolloutRow, side: Side) -> Question | Failure:
    unit, scene = Unit(*key_of(row)), at.scenes[row["sample"]]
    variables = {
        "prompt": at.prompts[row["sample"]], "so_far": row["so_far"], "instruction": row["instruction"],
        "description": row["description"],
    }  # fmt: skip
    if side is Side.TEXT:
        return Question(unit, side, variables, scene=scene)
    earlier = at.steps.get((row["sample"], row["rollout"], row["step"] - 1)) if shows(context, "before") else None
    try:
        before = decode_picture(earlier["picture"]) if earlier else None
        return Question(unit, side, variables, decode_picture(row["picture"]), before=before, scene=scene)
    except PictureError as e:
        return Failure.of(unit, e)


STAGE = Stage(
    "critique", "steps × sides", ("sampled",), ("prompts", "rollout"), CritiqueRow, CritiqueParams, run,
    roles=("judge", "arbiter"), tasks=("critique_text", "critique_picture", AGREEMENT, CRITIQUE), key=(),
)  # fmt: skip
