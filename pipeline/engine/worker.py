"""Runs inside a Ray actor: makes lots of one stage of a recipe, one at a time, with models loaded once."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from underpaint.pipeline.engine.category_yields import kept_by_category
from underpaint.pipeline.engine.graph import Node, ancestors, build_graph
from underpaint.pipeline.engine.remote_answers import ClosedJournal, Journal, NoAnswer
from underpaint.pipeline.engine.store import Store, table_bytes
from underpaint.pipeline.recipe.recipe import Recipe, templates_for
from underpaint.stages.common.roles import Models
from underpaint.stages.common.seeds import derive_seed
from underpaint.stages.common.stage import Context, Lot, Outcome
from underpaint.stages.models.chat_api import Record

Memory = MutableMapping[str, Record]  # what remote models answered, by the digest of the request
UNCOMPARED = ("trace", "requests")  # of a failed row: they tell of the code that made it


class CodeChanged(Exception):
    """The worker's code, templates or checkpoints are not those with which the build started."""


def stage_worker(recipe: Recipe, stage: str, root: str, fingerprint: str) -> Callable[[int], dict[str, Any]]:
    """Load the stage's models. The returned function makes and stores one lot and returns its manifest.

    Raises CodeChanged where the worker's own fingerprint of the stage is not `fingerprint`.
    """
    store, nodes = Store(Path(root)), build_graph(recipe)
    node, make = nodes[stage], _maker(recipe, nodes, stage, store, fingerprint)
    lineage = [*ancestors(nodes, stage), stage]
    about = next((n for n in lineage if "category" in nodes[n].stage.schema.names), "")

    def work(lot: int) -> dict[str, Any]:
        if store.is_done(node, lot):
            return store.manifest(node, lot)
        made = make(lot, Journal(store.journal(node, lot)))
        if not about:  # its samples are no prompts of the stream
            return store.put(node, lot, made)
        prompts = made.table if about == stage else store.table(nodes[about], lot, ["sample", "category"])
        return store.put(node, lot, made, kept_by_category(node.stage, made.table, prompts))

    return work


def remake_worker(recipe: Recipe, stage: str, root: str, fingerprint: str, former: Node) -> Callable[[int], str]:
    """Load the stage's models; the function returned makes a lot anew and says how it differs from `former`'s, or "".

    Nothing is stored. Remote models answer from the former lot's journal alone. Raises CodeChanged as `stage_worker`.
    """
    store, nodes = Store(Path(root)), build_graph(recipe)
    make = _maker(recipe, nodes, stage, store, fingerprint)

    def compare(lot: int) -> str:
        try:
            made, then = make(lot, ClosedJournal(store.journal(former, lot))), store.manifest(former, lot)
        except NoAnswer:
            return "asks a remote model what its journal has no answer to"
        if made.ledger.summary() != then["ledger"]:
            return f"counts {made.ledger.summary()}, counted {then['ledger']}"
        now = [{k: v for k, v in vars(f).items() if k not in UNCOMPARED} for f in made.ledger.failures]
        if now != [{k: v for k, v in f.items() if k not in UNCOMPARED} for f in store.failures(former, lot)]:
            return "other rows fail"
        return "" if store.digest_of(table_bytes(made.table)) == then["sha256"] else "its table has other bytes"

    return compare


def _maker(
    recipe: Recipe, nodes: dict[str, Node], name: str, store: Store, fingerprint: str
) -> Callable[[int, Memory], Outcome]:
    node = nodes[name]
    if node.fingerprint != fingerprint:
        raise CodeChanged(f"{name}: code, templates or checkpoints changed while the build ran; build again")
    stage, words = node.stage, recipe.words()
    templates = templates_for(stage, recipe.all_templates())
    playing = recipe.cast(stage.roles)
    asked = {model for model, _ in node.named}
    loaded = {model: recipe.models[model].load() for model in sorted({*playing.values(), *asked})}
    models = cast(Models, {role: loaded[model] for role, model in playing.items()})
    named = {model: loaded[model] for model in asked}
    params = recipe.params(stage)

    def make(lot: int, memory: Memory) -> Outcome:
        # A model that draws from a global generator still gives the same bytes for the same lot.
        _seed_globals(derive_seed(recipe.seed, name, lot))
        for model in loaded.values():
            if hasattr(model, "remember"):
                model.remember(memory)
        context = Context(name, recipe.seed, Lot(lot, recipe.lot_size), params, words, models, templates, named)
        return stage.run(context, {above: store.table(nodes[above], lot) for above in stage.inputs})

    return make


def _seed_globals(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):  # do not import torch for this: few stages need it
        torch.manual_seed(seed)
