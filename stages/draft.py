"""draft: the painter executes every plan, each step from the picture before it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import pyarrow as pa

from schemas import tables
from stages.models.roles import PaintRequest
from stages.pictures import open_picture, paint_all
from stages.stage import Context, Failure, Ledger, Outcome, Params, Stage, outcome


class DraftParams(Params):
    """The painter's own settings belong to its model in the recipe."""


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Trajectories of different lengths share full batches: first every first step, then every second, …"""
    ledger, done = Ledger(), {}
    plans = {s: list(rows) for s, rows in groupby(inputs["plan"].to_pylist(), key=lambda r: r["sample"])}
    ledger.enter(len(plans))
    going: dict[int, list[dict[str, Any]]] = {sample: [] for sample in plans}
    step = 0
    while going:
        step += 1
        requests = [_request(context, plans[s][step - 1], rows) for s, rows in going.items()]
        for (sample, rows), request, picture in zip(
            list(going.items()), requests, paint_all(context.models["painter"], requests), strict=True
        ):
            if isinstance(picture, Exception):
                ledger.fail(Failure.of(f"sample {sample}, step {step}", picture, request.instruction))
                del going[sample]
                continue
            rows.append({"sample": sample, "step": step, "picture": picture, "seed": request.seed})
            if step == len(plans[sample]):
                done[sample] = going.pop(sample)
                ledger.keep()
    return outcome(tables.DRAFT, [row for sample in sorted(done) for row in done[sample]], ledger)


def _request(context: Context, step: dict[str, Any], painted: list[dict[str, Any]]) -> PaintRequest:
    previous = open_picture(painted[-1]["picture"]) if painted else None
    seed = context.seed_for(step["sample"], step["step"])
    return PaintRequest(previous, step["instruction"], step["description"], seed)


STAGE = Stage("draft", "trajectories", ("plan",), tables.DRAFT, DraftParams, run, roles=("painter",), key=("sample",))
