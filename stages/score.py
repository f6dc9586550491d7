"""score: computes CLIP scores. Every value is stored; the selection applies thresholds.

picture_text   cosine of a picture and its step's description
neighbour      cosine of a picture and the picture before it; of a repair, and the flawed draft. It falls when parts
               change that were not to be edited
margin         picture_text of a repair minus that of the flawed draft
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from underpaint.schemas import tables
from underpaint.schemas.corpus.picture import PictureError, decode_picture
from underpaint.schemas.scenes.critique import Side
from underpaint.stages.common.stage import Context, Failure, Ledger, Outcome, Params, Stage, outcome

Row = dict[str, Any]


class ScoreParams(Params):
    """No parameters: thresholds on scores are applied by the selection."""


def _embed(context: Context, rows: list[Row], ledger: Ledger) -> tuple[list[Row], np.ndarray]:
    """The rows whose picture can be decoded, and their unit vectors (N, D); the others go to quarantine."""
    pictures, opened = [], []
    for row in rows:
        ledger.enter()
        try:
            pictures.append(decode_picture(row["picture"]))
            opened.append(row)
        except PictureError as e:
            ledger.fail(Failure.of(f"sample {row['sample']}, step {row['step']}", e))
    ledger.keep(len(opened))
    return opened, context.models["scorer"].embed_pictures(pictures) if pictures else np.zeros((0, 1), np.float32)


def _row(row: Row, name: str, value: float) -> Row:
    where = {"sample": row["sample"], "step": row["step"], **{k: row.get(k, 0) for k in ("rollout", "attempt")}}
    return {**where, "name": name, "value": float(value)}


def run_drafts(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Score every draft of a plan."""
    ledger, rows = Ledger(), []
    described = {(r["sample"], r["step"]): r["description"] for r in inputs["plan"].to_pylist()}
    drafts, vectors = _embed(context, inputs["draft"].to_pylist(), ledger)
    texts = context.models["scorer"].embed_texts([described[r["sample"], r["step"]] for r in drafts])
    at = {(r["sample"], r["step"]): i for i, r in enumerate(drafts)}
    for i, r in enumerate(drafts):
        rows.append(_row(r, "picture_text", vectors[i] @ texts[i]))
        before = at.get((r["sample"], r["step"] - 1))
        if before is not None:
            rows.append(_row(r, "neighbour", vectors[i] @ vectors[before]))
    return outcome(tables.SCORE, rows, ledger)


def run_alignment(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Score every judged draft, and every try at repairing one, accepted or not."""
    ledger, rows = Ledger(), []
    steps = {_key(r): r for r in inputs["rollout"].to_pylist()}
    judged = [steps[_key(r)] for r in inputs["critique"].to_pylist() if r["side"] == Side.PICTURE.value]
    drafts, shown = _embed(context, judged, ledger)
    tries, mended = _embed(context, inputs["repair"].to_pylist(), ledger)
    at = {_key(r): i for i, r in enumerate(drafts)}
    texts = context.models["scorer"].embed_texts([r["description"] for r in drafts])
    for r, picture, text in zip(drafts, shown, texts, strict=True):
        rows.append(_row(r, "picture_text", picture @ text))
    for r, picture in zip(tries, mended, strict=True):
        i = at[_key(r)]
        rows.append(_row(r, "picture_text", picture @ texts[i]))
        rows.append(_row(r, "margin", picture @ texts[i] - shown[i] @ texts[i]))
        rows.append(_row(r, "neighbour", picture @ shown[i]))
    return outcome(tables.SCORE, rows, ledger)


def _key(row: Row) -> tuple[int, int, int]:
    return row["sample"], row["rollout"], row["step"]


DRAFTS = Stage(
    "score_drafts", "pictures", ("plan", "draft"), tables.SCORE, ScoreParams, run_drafts, roles=("scorer",), key=()
)
ALIGNMENT = Stage(
    "score_alignment", "pictures", ("rollout", "critique", "repair"), tables.SCORE, ScoreParams, run_alignment,
    roles=("scorer",), key=(),
)  # fmt: skip
