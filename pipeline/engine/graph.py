"""The stage graph, and the fingerprint of every stage in it: a hash of all that the stage's tables depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from underpaint.pipeline.recipe.recipe import Recipe, named_models, templates_for
from underpaint.schemas.corpus.subsets import SAMPLE_KINDS, SUBSETS
from underpaint.stages.all_stages import BRANCHES, STAGES
from underpaint.stages.candidates import CandidateRow
from underpaint.stages.common.code_digest import code_parts, total
from underpaint.stages.common.stage import Stage

# The kinds of sample that a branch yields.
YIELDS: dict[str, tuple[str, ...]] = {
    branch: tuple(name for name, kind in SAMPLE_KINDS.items() if kind.subset.branch == branch)
    for branch in dict.fromkeys(subset.branch for subset in SUBSETS.values())
}
# The stage of a branch that makes its candidates.
LAST = {b: next(name for name in BRANCHES[b] if STAGES[name].row is CandidateRow) for b in YIELDS}
CODE = "code"  # how the parts of a fingerprint begin that are code; `underpaint adopt` looks behind these alone


@dataclass(frozen=True)
class Node:
    """A stage under a recipe. `parts` are what its fingerprint hashes, kept so that a change can be named."""

    stage: Stage[Any]
    fingerprint: str  # 16 hex digits
    parts: Mapping[str, str]
    upstream: Mapping[str, str]  # input stage → its fingerprint
    # For the parts that are code: the digest of what is reached of each module.
    modules: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    named: tuple[tuple[str, str], ...] = ()  # (model, role): whom its templates ask in place of the role's model

    @property
    def name(self) -> str:
        """The stage's."""
        return self.stage.name

    @property
    def folder(self) -> str:
        """Where its lots lie in the store."""
        return f"{self.name}-{self.fingerprint}"


def build_graph(recipe: Recipe) -> dict[str, Node]:
    """Every stage with its fingerprint, upstream first. The recipe's `run` changes speed only, so it is in none."""
    by_task = recipe.all_templates()
    words = canonical(recipe.words().identity())
    cast = {role: recipe.models[name] for role, name in recipe.cast(type(recipe.roles).model_fields).items()}
    model_code = {role: model.code(role) for role, model in cast.items()}  # once: several stages ask the same model
    settings = {role: canonical(model.settings()) for role, model in cast.items()}
    nodes: dict[str, Node] = {}
    for declared in STAGES.values():
        params = recipe.params(declared)
        stage = declared.narrowed(params)
        roles = [role for role in stage.roles if role in cast]
        # What `run` gets from the recipe it does not reach by name: its parameters' class, and the models' code.
        code = {CODE: code_parts(stage.run.__module__, (stage.run.__name__, stage.params.__name__))}
        code |= {f"{CODE} of the {role}": model_code[role] for role in roles}
        rendered = templates_for(stage, by_task)
        named = named_models(rendered)
        code |= {f"{CODE} of the {role} {name}": recipe.models[name].code(role) for name, role in named}
        parts = {
            "table": str(stage.schema),
            "parameters": canonical(params.identity()),
            "seed": str(recipe.seed),
            "lot size": str(recipe.lot_size),
            "vocabulary": words,
        }
        parts |= {part: total(modules) for part, modules in code.items() if modules}
        parts |= {f"model of the {role}": settings[role] for role in roles}
        parts |= {f"model {name}": canonical(recipe.models[name].settings()) for name, _ in named}
        for templates in rendered.values():
            parts |= {f"template {t.id}": f"{t.digest} weight {t.weight}" for t in templates}
        parts = {k: _short(v) for k, v in sorted(parts.items())}
        upstream = {name: nodes[name].fingerprint for name in stage.inputs}
        whole = canonical({"stage": stage.name, "parts": parts, "upstream": upstream})
        modules = {part: {m: _short(d) for m, d in found.items()} for part, found in code.items() if found}
        nodes[stage.name] = Node(stage, _short(whole), parts, upstream, modules, named)
    return nodes


def ancestors(nodes: Mapping[str, Node], stage: str) -> list[str]:
    """The stages whose tables a stage's table comes from, at first or second hand, in the order of the graph."""
    found = {stage}
    for name in reversed([*nodes]):
        if name in found:
            found |= set(nodes[name].stage.inputs)
    return [name for name in nodes if name in found - {stage}]


def descendants(nodes: Mapping[str, Node], stage: str) -> list[str]:
    """The stages whose tables come from a stage's table, in the order of the graph."""
    return [name for name in nodes if stage in ancestors(nodes, name)]


def stage_lots(lots: Mapping[str, int]) -> dict[str, int]:
    """How many lots each stage needs, in the order in which the stages run. Both branches share the stage prompts."""
    needed: dict[str, int] = {}
    for branch, stages in BRANCHES.items():
        for stage in stages:
            needed[stage] = max(needed.get(stage, 0), lots.get(branch, 0))
    return needed


def canonical(value: Any) -> str:
    """JSON text that is equal for equal values. Raises TypeError on a value without a stable identity."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as e:
        raise TypeError(f"{value!r} has no stable identity: {e}; name it by a string or a number") from None


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
