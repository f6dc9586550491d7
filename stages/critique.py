"""critique: samples k critiques of every rollout step, on both sides; the majority decides.

Text side: does the step's text contradict the prompt? Picture side: does the draft show what the step asks for?
On each side a rollout is judged up to its first fault, since later steps inherit the fault and would be blamed for it
again. A draft is not judged if its step's instruction and description disagree: nobody can tell what it should show.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import pyarrow as pa
from pydantic import Field, field_validator

from underpaint.schemas import tables
from underpaint.schemas.corpus.picture import PictureError, decode_picture
from underpaint.schemas.scenes.critique import Side
from underpaint.stages.common.stage import Context, Failure, Ledger, Outcome, Stage, outcome
from underpaint.stages.judgement.panel import JudgeParams, Question, judge
from underpaint.stages.judgement.step_consistency import disagreement

AFTER = {Side.TEXT: "follows a conflict", Side.PICTURE: "follows a flawed draft"}


class CritiqueParams(JudgeParams):
    """How the judge is asked about each step and side; an odd number of answers, so that a majority exists."""

    answers: int = Field(default=3, ge=1, le=15)

    @field_validator("answers")
    @classmethod
    def _odd(cls, answers: int) -> int:
        if answers % 2 == 0:
            raise ValueError(f"{answers} answers can be divided evenly; ask an odd number")
        return answers


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Judge all first steps together, then all second ones, and so on, so that batches stay full."""
    ledger, rows = Ledger(), []
    prompts = {r["sample"]: r["prompt"] for r in inputs["prompts"].to_pylist()}
    steps = inputs["rollout"].to_pylist()
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
        for (row, side), result in zip(asked, judge(context, questions, context.params), strict=True):
            key = row["sample"], row["rollout"], side
            if isinstance(result, Failure):
                ledger.fail(result)
                faulty.add(key)
                continue
            if result.conflict:
                faulty.add(key)
            ledger.keep()
            rows.append({**{k: row[k] for k in ("sample", "rollout", "step")}, "side": side.value, **result.row()})
    rows.sort(key=lambda r: (r["sample"], r["rollout"], r["step"], r["side"]))
    return outcome(tables.CRITIQUE, rows, ledger)


def _question(row: dict[str, Any], side: Side, prompt: str) -> Question | Failure:
    unit = f"sample {row['sample']}, rollout {row['rollout']}, step {row['step']}"
    variables = {"prompt": prompt, **{k: row[k] for k in ("so_far", "instruction", "description")}}
    if side is Side.TEXT:
        return Question(unit, side, variables)
    del variables["so_far"]
    try:
        return Question(unit, side, variables, decode_picture(row["picture"]))
    except PictureError as e:
        return Failure.of(f"{unit}, picture side", e)


STAGE = Stage(
    "critique", "steps × sides", ("prompts", "rollout"), tables.CRITIQUE, CritiqueParams, run,
    roles=("judge", "arbiter"), tasks=("critique_text", "critique_picture"),
)  # fmt: skip
