"""critique: samples k critiques of every rollout step, on both sides; the majority decides.

Text side: does the step's text contradict the prompt? Picture side: does the draft show what the step asks for?
On each side a rollout is judged up to its first fault, since later steps inherit the fault and would be blamed for it
again. A draft is not judged if its step's instruction and description disagree: nobody can tell what it should show.
"""

from __future__ import annotations

from itertools import groupby

from pydantic import Field, field_validator

from underpaint.schemas.corpus.picture import PictureError, decode_picture
from underpaint.schemas.scenes.critique import Side
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.rows import RolloutStepRow, key_of, rows, step_of
from underpaint.stages.common.stage import Context, Outcome, Stage, Tables, outcome
from underpaint.stages.judgement.canaries import WatchedParams, judge_watched
from underpaint.stages.judgement.panel import JudgedColumns, Question
from underpaint.stages.judgement.step_consistency import disagreement
from underpaint.stages.prompts import PromptRow
from underpaint.stages.rollout import RolloutRow

AFTER = {Side.TEXT: "follows a conflict", Side.PICTURE: "follows a flawed draft"}


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


def run(context: Context[CritiqueParams], inputs: Tables) -> Outcome:
    """Judge all first steps together, then all second ones, and so on, so that batches stay full."""
    ledger, judged = Ledger(), list[CritiqueRow]()
    prompts = {r["sample"]: r["prompt"] for r in rows(inputs["prompts"], PromptRow)}
    steps = rows(inputs["rollout"], RolloutRow)
    faulty: set[tuple[int, int, Side]] = set()
    for _, group in groupby(sorted(steps, key=lambda r: r["step"]), key=lambda r: r["step"]):
        asked, questions = [], []
        for row in group:
            for side in Side:
                ledger.enter()
                key = row["sample"], row["rollout"], side
                if key in faulty:
                    ledger.reject(AFTER[side])
                    continue
                told = row["so_far"], row["instruction"], row["description"]
                if side is Side.PICTURE and (why := disagreement(*told, context.vocabulary)):
                    ledger.reject(why)
                    faulty.add(key)
                    continue
                question = _question(row, side, prompts[row["sample"]])
                if isinstance(question, Failure):
                    ledger.fail(question)
                    faulty.add(key)
                    continue
                asked.append((row, side))
                questions.append(question)
        found = judge_watched(context, questions, context.params, ledger, context.params.canaries)
        for (row, side), result in zip(asked, found, strict=True):
            key = row["sample"], row["rollout"], side
            if isinstance(result, Failure):
                ledger.fail(result)
                faulty.add(key)
                continue
            if result.conflict:
                faulty.add(key)
            ledger.keep()
            judged.append({**step_of(row), "side": side.value, **result.row()})
    judged.sort(key=lambda r: (*key_of(r), r["side"]))
    return outcome(CritiqueRow, judged, ledger)


def _question(row: RolloutRow, side: Side, prompt: str) -> Question | Failure:
    unit = Unit(*key_of(row))
    variables = {"prompt": prompt, "instruction": row["instruction"], "description": row["description"]}
    if side is Side.TEXT:
        return Question(unit, side, {**variables, "so_far": row["so_far"]})
    try:
        return Question(unit, side, variables, decode_picture(row["picture"]))
    except PictureError as e:
        return Failure.of(unit, e, side=side.value)


STAGE = Stage(
    "critique", "steps × sides", ("sampled",), ("prompts", "rollout"), CritiqueRow, CritiqueParams, run,
    roles=("judge", "arbiter"), tasks=("critique_text", "critique_picture"), key=(),
)  # fmt: skip
