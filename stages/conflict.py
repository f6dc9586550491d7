"""conflict: instruction–intermediate conflict samples. Does this step's text contradict the prompt?

Positive: it does not, and the critique says why. Negative: it does; the critique analyses and corrects it.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from schemas import tables
from schemas.critique import Critique, Judgement, Side
from schemas.inspection import DEAD_END
from stages.stage import Context, Ledger, Outcome, Params, Stage, outcome


class ConflictParams(Params):
    """Thresholds (agreement) belong to the selection."""


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    ledger, rows = Ledger(), []
    instructions = {(r["sample"], r["rollout"], r["step"]): r["instruction"] for r in inputs["rollout"].to_pylist()}
    for row in inputs["critique"].to_pylist():
        if row["side"] != Side.TEXT.value:
            continue
        ledger.enter()
        key = row["sample"], row["rollout"], row["step"]
        critique = Critique.model_validate_json(row["critique"])
        negative = critique.verdict is Judgement.CONFLICT
        if negative and critique.correction.strip() == instructions[key].strip():
            ledger.reject("the correction repeats the instruction")
            continue
        if negative and critique.correction == DEAD_END:
            ledger.reject("no correction leads on")
            continue
        ledger.keep()
        kept = {k: row[k] for k in ("sample", "rollout", "step", *tables.CRITIQUE_COLUMNS)}
        rows.append({**kept, "polarity": "negative" if negative else "positive"})
    return outcome(tables.CONFLICT, rows, ledger)


STAGE = Stage("conflict", "text critiques", ("rollout", "critique"), tables.CONFLICT, ConflictParams, run)
