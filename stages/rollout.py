"""rollout: self-sampling: from the prompt alone, the policy (writer and sketcher) plans and paints step by step.

The Inspect subsets are made of the mistakes that the policy makes here (paper, "self-sampled critiques").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from pydantic import Field

from underpaint.schemas.corpus.picture import decode_picture
from underpaint.schemas.markup import BLANK
from underpaint.stages.answers.plan import read_plan
from underpaint.stages.common.asking import ask_and_read, job_for, request_for
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.painting import paint_all
from underpaint.stages.common.roles import PaintRequest
from underpaint.stages.common.rows import Int16, PictureColumns, RolloutStepRow, rows
from underpaint.stages.common.stage import Context, Outcome, Params, Stage, Tables, outcome
from underpaint.stages.prompts import PromptRow


class RolloutRow(RolloutStepRow, PictureColumns):
    """One step that the policy wrote and painted."""

    steps: Int16  # of the whole rollout
    finished: bool  # the policy itself said that nothing is missing
    so_far: str
    instruction: str
    description: str
    template: str  # the id of the one that the writer was asked with
    writer_seed: int


class Written(TypedDict):
    """A step as the writer said it, before it is painted."""

    step: int
    so_far: str
    instruction: str
    description: str
    template: str
    writer_seed: int


class Step(Written, PictureColumns):
    """A step that is written and painted."""


class RolloutParams(Params):
    """How the policy (writer and sketcher) is sampled."""

    rollouts: int = Field(default=2, ge=1, le=64, description="attempts at every prompt")
    temperature: float = Field(default=0.7, ge=0, le=2, description="of the writer")
    max_pictures: int = Field(default=5, ge=1, le=5, description="an attempt ends after so many pictures")


@dataclass
class Rollout:
    """One attempt at a prompt, as far as it has come."""

    sample: int
    number: int
    prompt: str
    steps: list[Step] = field(default_factory=list)

    def unit(self, step: int | None = None) -> Unit:
        """The rollout, or one step of it."""
        return Unit(self.sample, self.number, step)


def run(context: Context[RolloutParams], inputs: Tables) -> Outcome:
    """All attempts at all prompts of the lot: every first step is written and painted, then every second, …"""
    params, ledger = context.params, Ledger()
    going = [
        Rollout(row["sample"], k, row["prompt"])
        for row in rows(inputs["prompts"], PromptRow)
        for k in range(params.rollouts)
    ]
    ledger.enter(len(going))
    finished: list[tuple[Rollout, bool]] = []
    for step in range(1, params.max_pictures + 1):
        written = _write(context, going, step, ledger, finished)
        going = _paint(context, written, step, ledger)
    finished += [(r, False) for r in going]
    made: list[RolloutRow] = []
    for rollout, by_itself in sorted(finished, key=lambda f: (f[0].sample, f[0].number)):
        if not rollout.steps:
            ledger.reject("done before the first picture")
            continue
        ledger.keep()
        made += [
            {
                "sample": rollout.sample, "rollout": rollout.number, "steps": len(rollout.steps),
                "finished": by_itself, **step,
            }
            for step in rollout.steps
        ]  # fmt: skip
    return outcome(RolloutRow, made, ledger)


def _write(
    context: Context[RolloutParams],
    going: list[Rollout],
    step: int,
    ledger: Ledger,
    finished: list[tuple[Rollout, bool]],
) -> list[tuple[Rollout, Written]]:
    """Ask the writer for the next step of every rollout; those for which it answers "done" are finished."""
    jobs, templates = [], [context.pick_template("write", r.unit()) for r in going]
    for r, template in zip(going, templates, strict=True):
        variables = {"prompt": r.prompt, "so_far": r.steps[-1]["description"] if r.steps else BLANK}
        pictures = {"before": decode_picture(r.steps[-1]["picture"]) if template.pictures and r.steps else None}
        seed = context.seed_for(r.sample, r.number, step, "write")
        request = request_for(template, variables, seed, temperature=context.params.temperature, pictures=pictures)
        jobs.append(job_for(context.speaker(template), template, request, read_plan))
    written: list[tuple[Rollout, Written]] = []
    for r, template, said in zip(going, templates, ask_and_read(jobs), strict=True):
        ledger.heard[template.id].hear([said])
        first = said.requests[0]
        if said.error is not None:
            ledger.fail(Failure.of(r.unit(step), said.error, first.text, said.text, asked=said.requests))
        elif said.value is None:
            finished.append((r, True))
        else:
            instruction, description = said.value
            row: Written = {
                "step": step, "so_far": str(first.context["so_far"]), "instruction": instruction,
                "description": description, "template": template.id, "writer_seed": first.seed,
            }  # fmt: skip
            written.append((r, row))
    return written


def _paint(
    context: Context[RolloutParams], written: list[tuple[Rollout, Written]], step: int, ledger: Ledger
) -> list[Rollout]:
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
            ledger.fail(Failure.of(r.unit(step), picture, request.instruction, asked=[request]))
            continue
        r.steps.append({**row, "picture": picture, "seed": request.seed})
        going.append(r)
    return going


STAGE = Stage(
    "rollout", "rollouts", ("sampled",), ("prompts",), RolloutRow, RolloutParams, run,
    roles=("writer", "sketcher"), tasks=("write",), key=("sample", "rollout"),
)  # fmt: skip
