"""alignment: makes image–instruction alignment samples: does this draft show what the step asked for?

Positive: it does, and the critique says why. Negative: it does not; the critique says what is wrong and how to correct
it, and the accepted try of `repair` is the picture to paint.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from underpaint.schemas import tables
from underpaint.schemas.scenes.critique import Judgement, Side
from underpaint.stages.common.stage import Context, Ledger, Outcome, Params, Stage, outcome


class AlignmentParams(Params):
    """No parameters: `repair` decides how a flawed draft is mended, the selection applies thresholds."""


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Make a sample of every judged draft: a positive if it is right, a negative if a repair of it was accepted."""
    ledger, rows = Ledger(), []
    tries = inputs["repair"].drop_columns(["picture"]).to_pylist()
    repaired = {(r["sample"], r["rollout"], r["step"]): r for r in tries if r["accepted"]}
    for row in inputs["critique"].to_pylist():
        if row["side"] != Side.PICTURE.value:
            continue
        ledger.enter()
        kept = {k: row[k] for k in ("sample", "rollout", "step", *tables.CRITIQUE_COLUMNS)}
        if row["verdict"] != Judgement.CONFLICT.value:
            rows.append({**kept, "polarity": "positive", "tries": 0, "repair": "", "repair_agreement": 1.0})
        elif better := repaired.get((row["sample"], row["rollout"], row["step"])):
            mended = {"tries": better["attempt"], "repair": better["method"], "repair_agreement": better["agreement"]}
            rows.append({**kept, "polarity": "negative", **mended})
        else:
            ledger.reject("not repaired")
            continue
        ledger.keep()
    return outcome(tables.ALIGNMENT, rows, ledger)


STAGE = Stage("alignment", "picture critiques", ("critique", "repair"), tables.ALIGNMENT, AlignmentParams, run)
