"""The stage graph, and the fingerprint of every stage in it: a hash of all that the stage's tables depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from underpaint.pipeline.recipe.recipe import Recipe, templates_for
from underpaint.stages import (  # fmt: skip
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
from underpaint.stages.common.code_digest import code_digest
from underpaint.stages.common.stage import Stage
from underpaint.stages.models.kinds import ModelConfig

STAGES: dict[str, Stage] = {
    s.name: s
    for s in (
        prompts.STAGE, plan.STAGE, draft.STAGE, check.STAGE, score.DRAFTS, candidates.PAINTED,
        rollout.STAGE, critique.STAGE, conflict.STAGE, repair.STAGE, alignment.STAGE, score.ALIGNMENT,
        candidates.SAMPLED, calibration.STAGE,
    )
}  # fmt: skip

# Each branch has its own number of lots. Branches that yield samples get more lots until the quotas are met; the
# calibration has as many as the recipe says.
BRANCHES: dict[str, tuple[str, ...]] = {
    "calibrated": ("calibration",),
    "painted": ("prompts", "plan", "draft", "check", "score_drafts", "candidates_painted"),
    "sampled": (
        "prompts", "rollout", "critique", "conflict", "repair", "alignment", "score_alignment", "candidates_sampled",
    ),
}  # fmt: skip
YIELDS: dict[str, tuple[str, ...]] = {
    "painted": ("multi_turn",),
    "sampled": ("conflict_positive", "conflict_negative", "alignment_positive", "alignment_negative"),
}


@dataclass(frozen=True)
class Node:
    """A stage under a recipe. `parts` are what its fingerprint hashes, kept so that a change can be named."""

    stage: Stage
    fingerprint: str  # 16 hex digits
    parts: Mapping[str, str]
    upstream: Mapping[str, str]  # input stage → its fingerprint

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.stage.name

    @property
    def folder(self) -> str:
        """The name of the stage's folder in the store."""
        return f"{self.name}-{self.fingerprint}"


def build_graph(recipe: Recipe) -> dict[str, Node]:
    """Every stage with its fingerprint, upstream first. The recipe's `run` settings do not count: they change speed."""
    by_task = recipe.all_templates()
    cast = recipe.cast(type(recipe.roles).model_fields)
    identity = {role: _model_identity(recipe.models[name]) for role, name in cast.items()}
    words = canonical(recipe.words().identity())
    nodes: dict[str, Node] = {}
    for declared in STAGES.values():
        params = recipe.params_of(declared.name)
        stage = declared.narrowed(params)
        parts = {
            "code": code_digest(stage.run.__module__),
            "parameters": canonical(params.identity()),
            "seed": str(recipe.seed),
            "lot size": str(recipe.lot_size),
            "vocabulary": words,
        }
        parts |= {f"model of the {role}": identity[role] for role in stage.roles if role in identity}
        for templates in templates_for(stage, by_task).values():
            parts |= {f"template {t.id}": f"{t.digest} weight {t.weight}" for t in templates}
        parts = {k: _short(v) for k, v in parts.items()}
        upstream = {name: nodes[name].fingerprint for name in stage.inputs}
        whole = canonical({"stage": stage.name, "parts": parts, "upstream": upstream})
        nodes[stage.name] = Node(stage, _short(whole), parts, upstream)
    return nodes


def stage_lots(lots: Mapping[str, int]) -> dict[str, int]:
    """How many lots each stage needs, in the order in which the stages run. Both branches share the stage prompts."""
    needed: dict[str, int] = {}
    for branch, stages in BRANCHES.items():
        for stage in stages:
            needed[stage] = max(needed.get(stage, 0), lots.get(branch, 0))
    return needed


def _model_identity(model: ModelConfig) -> str:
    return canonical({"settings": model.identity(), "code": code_digest(model.module) if model.module else ""})


def canonical(value: Any) -> str:
    """JSON text that is equal for equal values. Raises TypeError on a value without a stable identity."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as e:
        raise TypeError(f"{value!r} has no stable identity: {e}; name it by a string or a number") from None


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
