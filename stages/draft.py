"""draft: lets the painter execute every plan, each step on the picture of the step before."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import pyarrow as pa
from pydantic import Field

from underpaint.schemas import tables
from underpaint.schemas.corpus.picture import decode_picture
from underpaint.stages.common.painting import paint_best
from underpaint.stages.common.roles import PaintRequest
from underpaint.stages.common.stage import Context, Failure, Ledger, Outcome, Params, Stage, outcome


class DraftParams(Params):
    """`drafts` pictures are painted per step; the one nearest to its description by CLIP is kept."""

    drafts: int = Field(default=1, ge=1, le=16)

    def roles(self) -> tuple[str, ...]:
        """The scorer, where it must choose among several drafts."""
        return ("scorer",) if self.drafts > 1 else ()


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Paint all first steps together, then all second ones, and so on, so that batches stay full."""
    ledger, done = Ledger(), {}
    plans = {s: list(rows) for s, rows in groupby(inputs["plan"].to_pylist(), key=lambda r: r["sample"])}
    ledger.enter(len(plans))
    going: dict[int, list[dict[str, Any]]] = {sample: [] for sample in plans}
    step = 0
    while going:
        step += 1
        requests = [_request(context, plans[s][step - 1], rows) for s, rows in going.items()]
        pictures = paint_best(context, requests, context.params.drafts)
        for (sample, rows), request, best in zip(list(going.items()), requests, pictures, strict=True):
            if isinstance(best, Exception):
                ledger.fail(Failure.of(f"sample {sample}, step {step}", best, request.instruction))
                del going[sample]
                continue
            rows.append({"sample": sample, "step": step, **vars(best)})
            if step == len(plans[sample]):
                done[sample] = going.pop(sample)
                ledger.keep()
    return outcome(tables.DRAFT, [row for sample in sorted(done) for row in done[sample]], ledger)


def _request(context: Context, step: dict[str, Any], painted: list[dict[str, Any]]) -> PaintRequest:
    previous = decode_picture(painted[-1]["picture"]) if painted else None
    seed = context.seed_for(step["sample"], step["step"])
    return PaintRequest(previous, step["instruction"], step["description"], seed)


STAGE = Stage("draft", "trajectories", ("plan",), tables.DRAFT, DraftParams, run, roles=("painter",), key=("sample",))
