"""Scene graphs of the user's own: taken as they are, described where no prompt is given, refused with the field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from test_prompt_source import run_prompts

from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.common.ledger import balances

Write = Callable[[dict[str, Any]], Path]


def thing(noun: str, colour: str, id: str = "a") -> dict[str, Any]:
    return {"id": id, "noun": noun, "attributes": {"colour": colour}}


ROWS: list[dict[str, Any]] = [
    {"graph": {"objects": [thing("car", "red"), thing("house", "blue", "b")], "background": "sand"}},
    {"graph": {"objects": [thing("cup", "green")]}, "prompt": "What tea is drunk from, as green as grass"},
    {"graph": {"objects": [thing("car", "red")]}, "prompt": "a red car above a blue house"},  # which the graph lacks
    {"graph": {"objects": [thing("lighthouse", "red")]}},
    {"graph": {"objects": [{"id": "a", "noun": "car", "count": 0}]}},
    {"graph": {"objects": []}, "prompt": "a red car"},
    {"prompt": "a red car"},
]


def own(recipe: dict[str, Any], folder: Path, **more: Any) -> dict[str, Any]:
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    recipe["stages"]["prompts"] = {"source": {"path": "./own.jsonl", "scene": "graph", **more}}
    return recipe


def test_own_scenes_are_the_truth_or_go_to_quarantine(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    ((rows, manifest, failures),) = run_prompts(own(recipe, tmp_path), write_recipe, tmp_path / "run")
    assert [(r["sample"], r["origin"], r["prompt"], r["indirect"]) for r in rows] == [
        (0, "user", "A red car and a blue house on a sand background.", False),
        (1, "user", "What tea is drunk from, as green as grass", False),
    ]
    assert SceneGraph.model_validate_json(rows[0]["scene"]) == SceneGraph.model_validate(ROWS[0]["graph"])
    assert rows[1]["short"] == rows[1]["prompt"] and rows[1]["templates"] == []
    said = {f["sample"]: f["message"] for f in failures}
    assert said.pop(2).startswith("the prompt names one blue house")
    assert said == {
        3: "the vocabulary has no noun 'lighthouse'; add it there, or allow open_words",
        4: "line 5: graph.objects.0.count: Input should be greater than or equal to 1",
        5: "objects: there is none; a scene that shows nothing countable has no steps",
        6: "line 7: the 'graph' holds no scene graph",
    }
    assert balances(manifest["ledger"]) and manifest["ledger"]["entered"] == 7


def test_open_words_let_a_scene_name_what_the_vocabulary_lacks(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    made = own(recipe, tmp_path, open_words=True, indirect=True)
    ((rows, _, failures),) = run_prompts(made, write_recipe, tmp_path / "run")
    assert [(r["sample"], r["prompt"]) for r in rows][2:] == [(3, "A red lighthouse.")]
    assert all(r["indirect"] for r in rows) and {f["sample"] for f in failures} == {2, 4, 5, 6}


def test_own_scenes_need_no_writer(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    node = build_graph(load_recipe(write_recipe(own(recipe, tmp_path))))["prompts"]
    assert node.stage.roles == () and node.stage.tasks == ()
