"""Long prompts: the graph stays the truth, a text that departs from it is dropped, and the rest goes on."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint.miniature.scenes import random_scene
from underpaint.miniature.world import vocabulary
from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.engine.store import Store
from underpaint.pipeline.engine.worker import stage_worker
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import PLACE, SceneGraph
from underpaint.stages.models.storyteller import prompt_scene, tell
from underpaint.stages.prompting.fidelity import ADDS, CONTRADICTS, DROPS, departures, hold, kind_of

Write = Callable[[dict[str, Any]], Path]
WORDS = vocabulary()


@given(st.integers(0, 10**9), st.integers(20, 150))
def test_the_symbolic_writer_enriches_truly(seed: int, words: int) -> None:
    rng = random.Random(seed)
    scene = random_scene(rng).without(PLACE)
    text = tell(describe(scene, WORDS), words, rng, WORDS)
    assert hold(text, scene, WORDS, "") == text
    assert words <= len(text.split()) < words + 40 or len(scene.objects) == 1
    assert prompt_scene(text, WORDS).key() == scene.key()


def test_a_text_of_another_scene_departs() -> None:
    scene = prompt_scene("A red car and a cup.", WORDS)
    assert kind_of(departures("A red car and a blue cup.", scene, WORDS)) == CONTRADICTS
    assert kind_of(departures("Slowly, a red car.", scene, WORDS)) == DROPS
    assert kind_of(departures("Slowly, a red car and a cup, and a star.", scene, WORDS)) == ADDS
    assert kind_of(departures("Slowly, a blue car and a cup.", scene, WORDS)) == CONTRADICTS


def make(write: Write, recipe: dict[str, Any], root: Path, stages: tuple[str, ...]) -> tuple[dict[str, Any], Store]:
    loaded = load_recipe(write(recipe))
    nodes = build_graph(loaded)
    for name in stages:
        stage_worker(loaded, name, str(root), nodes[name].fingerprint)(0)
    return nodes, Store(root)


def test_a_lot_of_long_prompts_from_end_to_end(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    recipe |= {"lot_size": 16, "stages": {"prompts": {"enrich": {"words": 115}}, "critique": {"answers": 1}}}
    stages = ("prompts", "plan", "draft", "check", "rollout", "critique", "conflict")
    nodes, store = make(write_recipe, recipe, tmp_path / "run", stages)
    rows = store.table(nodes["prompts"], 0).to_pylist()
    assert len(rows) == 16 and mean(len(r["prompt"].split()) for r in rows) > 80
    for row in rows:
        scene = SceneGraph.model_validate_json(row["scene"])
        assert row["short"] == describe(scene, WORDS) and hold(row["prompt"], scene, WORDS, "")
    assert all(store.manifest(nodes[name], 0)["ledger"]["failed"] == {} for name in stages)
    assert store.table(nodes["conflict"], 0).num_rows > 0


def test_long_prompts_that_depart_are_counted_with_their_reason(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    recipe["models"]["symbols"] = {"kind": "python", "factory": "poison:Embellisher"}
    recipe |= {"lot_size": 32, "stages": {"prompts": {"enrich": {"attempts": 2}}}}
    nodes, store = make(write_recipe, recipe, tmp_path / "run", ("prompts",))
    ledger = store.manifest(nodes["prompts"], 0)["ledger"]
    assert ledger["rejected"].keys() == {f"the long prompt {DROPS}", f"the long prompt {ADDS}"}
    assert ledger["kept"] == 0 and store.table(nodes["prompts"], 0).num_rows == 0
