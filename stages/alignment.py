"""alignment: makes image–instruction alignment samples: does this draft show what the step asked for?

Positive: it does, and the critique says why. Negative: it does not; the critique says what is wrong and how to correct
it, and the accepted try of `repair` is the picture to paint.
"""

from __future__ import annotations

from underpaint.schemas.scenes.critique import Critique, Side, Verdict
from underpaint.stages.common.ledger import Ledger
from underpaint.stages.common.rows import Float32, Int16, RolloutStepRow, key_of, rows, step_of
from underpaint.stages.common.stage import Context, Outcome, Params, Stage, Tables, outcome
from underpaint.stages.critique import CritiqueRow
from underpaint.stages.judgement.panel import JudgedColumns, also_checked
from underpaint.stages.judgement.text_checks import BY_GRAMMAR, Checked
from underpaint.stages.repair import NO_CORRECTION, RepairRow


class AlignmentRow(RolloutStepRow, JudgedColumns):
    """One draft that is judged, and how it was repaired where it is wrong."""

    polarity: str
    tries: Int16  # the attempt of `repair` that was accepted; 0 for positives
    repair: str  # its method; "" for positives
    repair_agreement: Float32  # how sure the judge was of it; 1 for positives


class AlignmentParams(Params):
    """No parameters: `repair` decides how a flawed draft is mended, the selection applies thresholds."""


def run(context: Context[AlignmentParams], inputs: Tables) -> Outcome:
    """The picture side of the critiques: right drafts, and wrong ones with the picture that mends them."""
    ledger, made = Ledger(), list[AlignmentRow]()
    tries = rows(inputs["repair"].drop_columns(["picture"]), RepairRow)
    repaired = {key_of(r): r for r in tries if r["accepted"]}
    for row in rows(inputs["critique"], CritiqueRow):
        if row["side"] != Side.PICTURE.value:
            continue
        ledger.enter()
        better, checked = repaired.get(key_of(row)), BY_GRAMMAR
        if row["verdict"] != Verdict.CONFLICT.value:
            polarity, attempt, method, agreement = "positive", 0, "", 1.0
        elif better is not None:
            polarity, attempt = "negative", better["attempt"]
            method, agreement = better["method"], better["agreement"]
            checked = Checked("", better["checked_by"], tuple(better["checks"]))
        else:
            corrected = Critique.model_validate_json(row["critique"]).correction
            ledger.reject("not repaired" if corrected else NO_CORRECTION)
            continue
        ledger.keep()
        made.append(
            {
                **step_of(row), **also_checked(row, checked), "polarity": polarity, "tries": attempt, "repair": method,
                "repair_agreement": agreement,
            }
        )  # fmt: skip
    return outcome(AlignmentRow, made, ledger)


STAGE = Stage(
    "alignment", "picture critiques", ("sampled",), ("critique", "repair"), AlignmentRow, AlignmentParams, run
)
