"""draft: lets the painter execute every plan, each step on the picture of the step before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from pydantic import Field

from underpaint.schemas.corpus.picture import decode_picture
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.painting import Painted, paint_best, variants
from underpaint.stages.common.roles import PaintRequest
from underpaint.stages.common.rows import StepRow, rows
from underpaint.stages.common.stage import Context, Outcome, Params, Stage, Tables, outcome
from underpaint.stages.plan import PlanRow


class DraftRow(StepRow, Painted):
    """The picture of one step of a plan."""


class DraftParams(Params):
    """How the painted trajectories are painted."""

    drafts: int = Field(
        default=1,
        ge=1,
        le=16,
        description="pictures painted a step; the one nearest to its description by CLIP goes on",
    )

    def roles(self) -> tuple[str, ...]:
        """The scorer, where it must choose among several drafts."""
        return ("scorer",) if self.drafts > 1 else ()


def run(context: Context[DraftParams], inputs: Tables) -> Outcome:
    """Paint all first steps together, then all second ones, and so on, so that batches stay full."""
    ledger, drafts = Ledger(), context.params.drafts
    done: dict[int, list[DraftRow]] = {}
    plans = {s: list(steps) for s, steps in groupby(rows(inputs["plan"], PlanRow), key=lambda r: r["sample"])}
    ledger.enter(len(plans))
    going: dict[int, list[DraftRow]] = {sample: [] for sample in plans}
    step = 0
    while going:
        step += 1
        requests = [_request(context, plans[s][step - 1], painted) for s, painted in going.items()]
        pictures = paint_best(context, requests, drafts)
        for (sample, painted), request, best in zip(list(going.items()), requests, pictures, strict=True):
            if isinstance(best, Exception):
                asked = variants(context, request, drafts)
                ledger.fail(Failure.of(Unit(sample, step=step), best, request.instruction, asked=asked))
                del going[sample]
                continue
            painted.append({"sample": sample, "step": step, **best})
            if step == len(plans[sample]):
                done[sample] = going.pop(sample)
                ledger.keep()
    return outcome(DraftRow, [row for sample in sorted(done) for row in done[sample]], ledger)


def _request(context: Context[DraftParams], step: PlanRow, painted: Sequence[DraftRow]) -> PaintRequest:
    previous = decode_picture(painted[-1]["picture"]) if painted else None
    seed = context.seed_for(step["sample"], step["step"])
    return PaintRequest(previous, step["instruction"], step["description"], seed)


STAGE = Stage(
    "draft", "trajectories", ("painted",), ("plan",), DraftRow, DraftParams, run, roles=("painter",), key=("sample",)
)
