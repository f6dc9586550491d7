"""Runs inside a Ray actor: makes lots of one stage of a recipe, one at a time, with models loaded once."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from underpaint.pipeline.engine.category_yields import kept_by_category
from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.engine.journal import Journal
from underpaint.pipeline.engine.store import Store
from underpaint.pipeline.recipe.recipe import Recipe, templates_for
from underpaint.stages.common.seeds import derive_seed
from underpaint.stages.common.stage import Context, Lot


class CodeChanged(Exception):
    """The worker's code, templates or checkpoints are not those with which the build started."""


def stage_worker(recipe: Recipe, stage: str, root: str, fingerprint: str) -> Callable[[int], dict[str, Any]]:
    """Load the stage's models. The returned function makes and stores one lot and returns its manifest.

    Raises CodeChanged where the worker's own fingerprint of the stage is not `fingerprint`.
    """
    nodes = build_graph(recipe)
    node = nodes[stage]
    if node.fingerprint != fingerprint:
        raise CodeChanged(f"{stage}: code, templates or checkpoints changed while the build ran; build again")
    store, words = Store(Path(root)), recipe.words()
    templates = templates_for(node.stage, recipe.all_templates())
    cast = recipe.cast(node.stage.roles)
    loaded = {name: recipe.models[name].load() for name in sorted(set(cast.values()))}
    models = {role: loaded[name] for role, name in cast.items()}
    remembering = [model for model in loaded.values() if hasattr(model, "remember")]
    params = recipe.params_of(stage)

    def work(lot: int) -> dict[str, Any]:
        if store.is_done(node, lot):
            return store.manifest(node, lot)
        # So that even a model that draws from a global generator gives the same bytes for the same lot.
        _seed_globals(derive_seed(recipe.seed, stage, lot))
        journal = Journal(store.journal(node, lot))
        for model in remembering:
            model.remember(journal)
        context = Context(stage, recipe.seed, Lot(lot, recipe.lot_size), params, words, models, templates)
        tables = {name: store.table(nodes[name], lot) for name in node.stage.inputs}
        made = node.stage.run(context, tables)
        if stage == "calibration":  # its samples are cases, not prompts, so they have no category
            return store.put(node, lot, made)
        prompts = made.table if stage == "prompts" else store.table(nodes["prompts"], lot, ["sample", "category"])
        return store.put(node, lot, made, kept_by_category(node.stage, made.table, prompts))

    return work


def _seed_globals(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):  # do not import torch for this: few stages need it
        torch.manual_seed(seed)
