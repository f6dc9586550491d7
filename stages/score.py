"""score: computes CLIP scores. Every value is stored; the selection applies thresholds.

picture_text   cosine of a picture and its step's description
neighbour      cosine of a picture and the picture before it; of a repair, and the flawed draft. It falls when parts
               change that were not to be edited
margin         picture_text of a repair minus that of the flawed draft
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from underpaint.schemas.corpus.picture import PictureError, decode_picture
from underpaint.schemas.scenes.critique import Side
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.rows import Float32, Int16, PictureColumns, RolloutStepRow, StepRow, key_of, rows, step_of
from underpaint.stages.common.stage import Context, Outcome, Params, Stage, Tables, outcome
from underpaint.stages.critique import CritiqueRow
from underpaint.stages.draft import DraftRow
from underpaint.stages.plan import PlanRow
from underpaint.stages.repair import RepairRow
from underpaint.stages.rollout import RolloutRow


class ScoreRow(RolloutStepRow):
    """One measurement of one picture. `rollout` is 0 for the drafts of a plan."""

    attempt: Int16  # of `repair`; 0 for the draft itself
    name: str
    value: Float32


class ScoreParams(Params):
    """No parameters: thresholds on scores are applied by the selection."""


class PicturedRow(StepRow, PictureColumns):
    """What rows of drafts, rollouts and repairs have in common."""


Pictured = TypeVar("Pictured", bound=PicturedRow)


def _embed(
    context: Context[ScoreParams], shown: Sequence[Pictured], ledger: Ledger
) -> tuple[list[Pictured], np.ndarray]:
    """The rows whose picture can be decoded, and their unit vectors (N, D); the others go to quarantine."""
    pictures, opened = [], []
    for row in shown:
        ledger.enter()
        try:
            pictures.append(decode_picture(row["picture"]))
            opened.append(row)
        except PictureError as e:
            ledger.fail(Failure.of(Unit(row["sample"], row.get("rollout"), row["step"]), e))  # type: ignore[arg-type]
    ledger.keep(len(opened))
    return opened, context.models["scorer"].embed_pictures(pictures) if pictures else np.zeros((0, 1), np.float32)


def run_drafts(context: Context[ScoreParams], inputs: Tables) -> Outcome:
    """Score every draft of a plan."""
    ledger, scores = Ledger(), list[ScoreRow]()
    described = {(r["sample"], r["step"]): r["description"] for r in rows(inputs["plan"], PlanRow)}
    drafts, vectors = _embed(context, rows(inputs["draft"], DraftRow), ledger)
    texts = context.models["scorer"].embed_texts([described[r["sample"], r["step"]] for r in drafts])
    at = {(r["sample"], r["step"]): i for i, r in enumerate(drafts)}
    for i, r in enumerate(drafts):
        where: RolloutStepRow = {"sample": r["sample"], "rollout": 0, "step": r["step"]}
        scores.append(_score(where, 0, "picture_text", vectors[i] @ texts[i]))
        before = at.get((r["sample"], r["step"] - 1))
        if before is not None:
            scores.append(_score(where, 0, "neighbour", vectors[i] @ vectors[before]))
    return outcome(ScoreRow, scores, ledger)


def run_alignment(context: Context[ScoreParams], inputs: Tables) -> Outcome:
    """Score every judged draft, and every try at repairing one, accepted or not."""
    ledger, scores = Ledger(), list[ScoreRow]()
    steps = {key_of(r): r for r in rows(inputs["rollout"], RolloutRow)}
    critiques = rows(inputs["critique"], CritiqueRow)
    judged = [steps[key_of(r)] for r in critiques if r["side"] == Side.PICTURE.value]
    drafts, shown = _embed(context, judged, ledger)
    tries, mended = _embed(context, rows(inputs["repair"], RepairRow), ledger)
    at = {key_of(r): i for i, r in enumerate(drafts)}
    texts = context.models["scorer"].embed_texts([r["description"] for r in drafts])
    for draft, picture, text in zip(drafts, shown, texts, strict=True):
        scores.append(_score(draft, 0, "picture_text", picture @ text))
    for r, picture in zip(tries, mended, strict=True):
        i = at[key_of(r)]
        scores.append(_score(r, r["attempt"], "picture_text", picture @ texts[i]))
        scores.append(_score(r, r["attempt"], "margin", picture @ texts[i] - shown[i] @ texts[i]))
        scores.append(_score(r, r["attempt"], "neighbour", picture @ shown[i]))
    return outcome(ScoreRow, scores, ledger)


def _score(row: RolloutStepRow, attempt: int, name: str, value: float) -> ScoreRow:
    return {**step_of(row), "attempt": attempt, "name": name, "value": float(value)}


DRAFT_SCORES = Stage(
    "score_drafts", "pictures", ("painted",), ("plan", "draft"), ScoreRow, ScoreParams, run_drafts,
    roles=("scorer",), key=(),
)  # fmt: skip
ALIGNMENT_SCORES = Stage(
    "score_alignment", "pictures", ("sampled",), ("rollout", "critique", "repair"), ScoreRow, ScoreParams,
    run_alignment, roles=("scorer",), key=(),
)  # fmt: skip
