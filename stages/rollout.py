"""rollout: self-sampling: from the prompt alone, the policy (writer and sketcher) plans and paints step by step.

The Inspect subsets are made of the mistakes that the policy makes here (paper, "self-sampled critiques").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic import Field

from underpaint.schemas import tables
from underpaint.schemas.corpus.picture import decode_picture
from underpaint.schemas.markup import BLANK, DONE, MarkupError, parse_plan
from underpaint.stages.common.painting import paint_all
from underpaint.stages.common.roles import AskRequest, PaintRequest, each
from underpaint.stages.common.stage import Context, Failure, Ledger, Outcome, Params, Stage, outcome, pick_template


class RolloutParams(Params):
    """`rollouts` attempts per prompt, of at most `max_pictures` pictures each; `temperature` is the writer's."""

    rollouts: int = Field(default=2, ge=1, le=64)
    temperature: float = Field(default=0.7, ge=0, le=2)
    max_pictures: int = Field(default=5, ge=1, le=5)


@dataclass
class Rollout:
    """One attempt of the policy at a prompt; `steps` grows by one row per step."""

    sample: int
    number: int
    prompt: str
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """The rollout's name in the quarantine and in seeds."""
        return f"sample {self.sample}, rollout {self.number}"


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Write and paint all first steps together, then all second ones, and so on, until every rollout is done."""
    params: RolloutParams = context.params
    ledger = Ledger()
    going = [
        Rollout(row["sample"], k, row["prompt"])
        for row in inputs["prompts"].to_pylist()
        for k in range(params.rollouts)
    ]
    ledger.enter(len(going))
    finished: list[tuple[Rollout, bool]] = []
    for step in range(1, params.max_pictures + 1):
        written = _write(context, going, step, ledger, finished)
        going = _paint(context, written, step, ledger)
    finished += [(r, False) for r in going]
    rows: list[dict[str, Any]] = []
    for rollout, by_itself in sorted(finished, key=lambda f: (f[0].sample, f[0].number)):
        if not rollout.steps:
            ledger.reject("done before the first picture")
            continue
        ledger.keep()
        whole = {"sample": rollout.sample, "rollout": rollout.number, "steps": len(rollout.steps)}
        rows += [{**whole, "finished": by_itself, **step} for step in rollout.steps]
    return outcome(tables.ROLLOUT, rows, ledger)


def _write(
    context: Context, going: list[Rollout], step: int, ledger: Ledger, finished: list[tuple[Rollout, bool]]
) -> list[tuple[Rollout, dict[str, Any]]]:
    """Ask the writer for the next step of every rollout; those for which it answers "done" are finished."""
    requests = []
    for r in going:
        template = pick_template(context, "write", r.unit)
        variables = {"prompt": r.prompt, "so_far": r.steps[-1]["description"] if r.steps else BLANK}
        picture = decode_picture(r.steps[-1]["picture"]) if template.picture and r.steps else None
        seed = context.seed_for(r.sample, r.number, step, "write")
        text = template.render(**variables)
        requests.append(AskRequest("write", text, seed, picture, context.params.temperature, variables))
    written = []
    for r, request, answer in zip(going, requests, each(context.models["writer"].ask, requests), strict=True):
        if isinstance(answer, Exception):
            ledger.fail(Failure.of(f"{r.unit}, step {step}", answer, request.text))
            continue
        if answer.strip().rstrip(".").lower() == DONE:
            finished.append((r, True))
            continue
        try:
            instruction, description = parse_plan(answer)
        except MarkupError as e:
            ledger.fail(Failure.of(f"{r.unit}, step {step}", e, request.text, answer))
            continue
        words = {"so_far": request.context["so_far"], "instruction": instruction, "description": description}
        written.append((r, {"step": step, **words, "writer_seed": request.seed}))
    return written


def _paint(context: Context, written: list[tuple[Rollout, dict[str, Any]]], step: int, ledger: Ledger) -> list[Rollout]:
    requests = [
        PaintRequest(
            decode_picture(r.steps[-1]["picture"]) if r.steps else None, row["instruction"], row["description"],
            context.seed_for(r.sample, r.number, step, "paint"),
        )
        for r, row in written
    ]  # fmt: skip
    painted = paint_all(context.models["sketcher"], requests)
    going = []
    for (r, row), request, picture in zip(written, requests, painted, strict=True):
        if isinstance(picture, Exception):
            ledger.fail(Failure.of(f"{r.unit}, step {step}", picture, request.instruction))
            continue
        r.steps.append({**row, "picture": picture, "seed": request.seed})
        going.append(r)
    return going


STAGE = Stage(
    "rollout", "rollouts", ("prompts",), tables.ROLLOUT, RolloutParams, run,
    roles=("writer", "sketcher"), tasks=("write",), key=("sample", "rollout"),
)  # fmt: skip
