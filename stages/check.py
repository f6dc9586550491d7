"""check: lets the judge look at every draft of a plan. A trajectory is shipped only if all of its pictures pass.

The paper filters its multi-turn subset for quality with a language model; here the picture-side critique does it.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from underpaint.schemas import tables
from underpaint.schemas.corpus.picture import PictureError, decode_picture
from underpaint.schemas.scenes.critique import Side
from underpaint.stages.common.stage import Context, Failure, Ledger, Outcome, Stage, outcome
from underpaint.stages.judgement.panel import Judged, JudgeParams, Question, judge


class CheckParams(JudgeParams):
    """How the judge is asked about each picture."""


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Judge every draft of a plan against its step's description."""
    ledger, rows = Ledger(), []
    prompts = {r["sample"]: r["prompt"] for r in inputs["prompts"].to_pylist()}
    plan = {(r["sample"], r["step"]): r for r in inputs["plan"].to_pylist()}
    asked, questions = [], []
    for draft in inputs["draft"].to_pylist():
        ledger.enter()
        key = draft["sample"], draft["step"]
        unit = f"sample {key[0]}, step {key[1]}"
        words = {k: plan[key][k] for k in ("instruction", "description")}
        try:
            picture = decode_picture(draft["picture"])
        except PictureError as e:
            ledger.fail(Failure.of(unit, e))
            continue
        asked.append(key)
        questions.append(Question(unit, Side.PICTURE, {"prompt": prompts[key[0]], **words}, picture))
    for (sample, step), result in zip(asked, judge(context, questions, context.params), strict=True):
        if isinstance(result, Judged):
            ledger.keep()
            rows.append({"sample": sample, "step": step, **result.row()})
        else:
            ledger.fail(result)
    return outcome(tables.CHECK, rows, ledger)


STAGE = Stage(
    "check", "pictures", ("prompts", "plan", "draft"), tables.CHECK, CheckParams, run,
    roles=("judge", "arbiter"), tasks=("critique_picture",),
)  # fmt: skip
