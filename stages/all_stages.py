"""The list of stages, upstream first, and the branches they form: the graph, the recipe and the docs follow from it.

Each branch has lots of its own. The branch `calibrated` has as many as the recipe asks for; the others grow until the
quotas of the kinds that they yield (`schemas.corpus.subsets`) are met, and end in a table of candidates.
"""

from __future__ import annotations

from typing import Any

from underpaint.stages import (
    alignment,
    calibration,
    candidates,
    check,
    conflict,
    critique,
    draft,
    plan,
    prompts,
    repair,
    rollout,
    score,
)
from underpaint.stages.common.stage import Stage

STAGES: dict[str, Stage[Any]] = {
    stage.name: stage
    for stage in (
        prompts.STAGE, plan.STAGE, draft.STAGE, check.STAGE, score.DRAFT_SCORES, candidates.PAINTED,
        rollout.STAGE, critique.STAGE, conflict.STAGE, repair.STAGE, alignment.STAGE,
        score.ALIGNMENT_SCORES, candidates.SAMPLED, calibration.STAGE,
    )
}  # fmt: skip

# By branch its stages in order; the calibration is first, since it costs no picture.
BRANCHES: dict[str, tuple[str, ...]] = {
    branch: tuple(name for name, stage in STAGES.items() if branch in stage.branches)
    for branch in ("calibrated", "painted", "sampled")
}


def diagram() -> str:
    """The graph in Mermaid's language: an arrow from each stage to those that read its table."""
    arrows = [f"  {above} --> {name}" for name, stage in STAGES.items() for above in stage.inputs]
    return "\n".join(["```mermaid", "flowchart LR", *arrows, "```"])
