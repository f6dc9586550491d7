"""alignment: image–instruction alignment samples. Does this draft show what the step asked for?

Positive: it does, and the critique says why. Negative: it does not; the critique analyses, corrects, and a
corrected picture is painted and judged again. Only a correction that the judge accepts is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pydantic import Field

from schemas import tables
from schemas.critique import Critique, Judgement, Side
from stages.judging import Judged, JudgeParams, Question, judge
from stages.models.roles import PaintRequest
from stages.pictures import open_picture, paint_all
from stages.stage import Context, Failure, Ledger, Outcome, Stage, outcome

Row = dict[str, Any]


class AlignmentParams(JudgeParams):
    """`edits` tries at the flawed draft with the correction, then `repaints` of the step from the picture before it."""

    edits: int = Field(default=2, ge=0, le=8)
    repaints: int = Field(default=1, ge=0, le=8)


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    ledger, rows = Ledger(), []
    prompts = {r["sample"]: r["prompt"] for r in inputs["prompts"].to_pylist()}
    steps = {(r["sample"], r["rollout"], r["step"]): r for r in inputs["rollout"].to_pylist()}
    flawed: list[Row] = []
    for row in inputs["critique"].to_pylist():
        if row["side"] != Side.PICTURE.value:
            continue
        ledger.enter()
        kept = {k: row[k] for k in ("sample", "rollout", "step", *tables.CRITIQUE_COLUMNS)}
        if row["verdict"] == Judgement.CONFLICT.value:
            flawed.append(kept)
            continue
        ledger.keep()
        rows.append({**kept, "polarity": "positive", "tries": 0, "repair": "", "picture": b"", "seed": 0})
    methods = ["edit"] * context.params.edits + ["repaint"] * context.params.repaints
    for tries, method in enumerate(methods, 1):
        flawed, repaired = _try(context, flawed, steps, prompts, tries, method, ledger)
        rows += repaired
    ledger.reject(f"not repaired in {len(methods)} tries", len(flawed))
    rows.sort(key=lambda r: (r["sample"], r["rollout"], r["step"]))
    return outcome(tables.ALIGNMENT, rows, ledger)


def _try(
    context: Context, flawed: list[Row], steps: Mapping[tuple[int, int, int], Row], prompts: Mapping[int, str],
    tries: int, method: str, ledger: Ledger,
) -> tuple[list[Row], list[Row]]:  # fmt: skip
    """One attempt at every flawed draft: those still flawed, and the repaired ones."""
    requests = [_request(context, row, steps, tries, method) for row in flawed]
    asked, questions, left, repaired = [], [], [], []
    for row, request, picture in zip(flawed, requests, paint_all(context.models["painter"], requests), strict=True):
        unit = _unit(row)
        if isinstance(picture, Exception):
            ledger.fail(Failure.of(f"{unit}, repair {tries}", picture, request.instruction))
            continue
        step = steps[row["sample"], row["rollout"], row["step"]]
        variables = {"prompt": prompts[row["sample"]], **{k: step[k] for k in ("instruction", "description")}}
        asked.append((row, picture, request.seed))
        questions.append(Question(f"{unit}, repair {tries}", Side.PICTURE, variables, open_picture(picture)))
    for (row, picture, seed), verdict in zip(asked, judge(context, questions, context.params), strict=True):
        if isinstance(verdict, Judged) and not verdict.conflict:
            ledger.keep()
            mended = {"tries": tries, "repair": method, "picture": picture, "seed": seed}
            repaired.append({**row, "polarity": "negative", **mended})
        else:  # rejected, or an answer that does not parse: the next try decides
            left.append(row)
    return left, repaired


def _unit(row: Row) -> str:
    return f"sample {row['sample']}, rollout {row['rollout']}, step {row['step']}"


def _request(
    context: Context, row: Row, steps: Mapping[tuple[int, int, int], Row], tries: int, method: str
) -> PaintRequest:
    """Edit the flawed draft as the critique says, or paint the step anew from the picture before it."""
    step = steps[row["sample"], row["rollout"], row["step"]]
    seed = context.seed_for(row["sample"], row["rollout"], row["step"], tries)
    if method == "edit":
        correction = Critique.model_validate_json(row["critique"]).correction
        return PaintRequest(open_picture(step["picture"]), correction, step["description"], seed)
    before = steps.get((row["sample"], row["rollout"], row["step"] - 1))
    previous = open_picture(before["picture"]) if before else None
    return PaintRequest(previous, step["instruction"], step["description"], seed)


STAGE = Stage(
    "alignment", "picture critiques", ("prompts", "rollout", "critique"), tables.ALIGNMENT, AlignmentParams, run,
    roles=("painter", "judge", "arbiter"), tasks=("critique_picture",),
)  # fmt: skip
