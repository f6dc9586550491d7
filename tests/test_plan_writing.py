"""Plans in natural words, from end to end: reworded or written by the writer, and lost where they are not true."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from test_enriching import make

from underpaint.miniature.world import vocabulary
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.models.storyteller import described_scene
from underpaint.stages.prompting.fidelity import ADDS, FOREIGN
from underpaint.stages.prompting.plan_writing import NO_PLAN

Write = Callable[[dict[str, Any]], Path]
WORDS = vocabulary()


def planned(
    write: Write, recipe: dict[str, Any], root: Path, plan: dict[str, Any], **more: Any
) -> tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]]]:
    """(rows, ledger, failures) of a lot's plans; `more` are further settings of its prompts."""
    recipe |= {"lot_size": 24, "stages": {"plan": plan, "prompts": {"enrich": {"words": 115}, **more}}}
    nodes, store = make(write, recipe, root, ("prompts", "plan"))
    ledger = store.manifest(nodes["plan"], 0)["ledger"]
    return store.table(nodes["plan"], 0).to_pylist(), ledger, store.failures(nodes["plan"], 0)


@pytest.mark.parametrize("author", ["grammar", "writer"])
def test_steps_say_what_the_long_prompt_says_and_what_their_scene_shows(
    author: str, recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    rows, ledger, _ = planned(write_recipe, recipe, tmp_path / "run", {"author": author, "reword": {}})
    assert ledger["kept"] == 24 and {r["author"] for r in rows} == {"writer"}
    assert {r["checked_by"] for r in rows} == {"grammar"}
    assert {len(r["templates"]) for r in rows} == {1 + (author == "writer")}
    last = [r for r in rows if r["step"] == r["steps"]]
    assert len(last) == 24 and mean(len(r["description"].split()) for r in last) > 90
    assert mean(len(r["instruction"].split()) for r in rows) > 20
    for row in rows:
        scene = SceneGraph.model_validate_json(row["scene"])
        assert described_scene(row["description"], WORDS).key() == scene.key()


def test_what_the_steps_say_is_painted_judged_and_scored(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    stages = ("prompts", "plan", "draft", "check", "score_drafts")
    recipe |= {"lot_size": 8, "stages": {"prompts": {"enrich": {}}, "plan": {"reword": {}}, "check": {"answers": 1}}}
    nodes, store = make(write_recipe, recipe, tmp_path / "run", stages)
    assert all(store.manifest(nodes[name], 0)["ledger"]["failed"] == {} for name in stages)
    assert store.table(nodes["check"], 0).num_rows == store.table(nodes["plan"], 0).num_rows > 8


@pytest.mark.parametrize(
    ("factory", "plan", "rejected", "failed"),
    [
        ("Prophet", {"reword": {"attempts": 2}, "detour_share": 0.0}, {f"a reworded step {ADDS}"}, set()),
        ("Keeper", {"reword": {"attempts": 2}}, {f"a reworded step {FOREIGN}"}, set()),
        ("Refuser", {"reword": {}}, set(), {"AnswerError: refusal"}),
        ("Refuser", {"author": "writer"}, set(), {"AnswerError: refusal"}),
        ("Hasty", {"author": "writer"}, set(), {f"ContentError: {NO_PLAN}"}),
    ],
)
def test_steps_that_are_not_true_are_lost_with_their_reason(
    factory: str, plan: dict[str, Any], rejected: set[str], failed: set[str], recipe: dict[str, Any],
    write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    recipe["models"]["symbols"] = {"kind": "python", "factory": f"poison:{factory}"}
    rows, ledger, failures = planned(write_recipe, recipe, tmp_path / "run", plan)
    assert ledger["rejected"].keys() == rejected and ledger["failed"].keys() == failed
    assert all(f["response"] and f["request"] for f in failures)
    assert ledger["kept"] == len({r["sample"] for r in rows}) < 24


def test_a_recipe_may_fall_back_on_the_grammar(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    recipe["models"]["symbols"] = {"kind": "python", "factory": "poison:Refuser"}
    rows, ledger, _ = planned(write_recipe, recipe, tmp_path / "run", {"author": "writer", "fallback": True})
    assert ledger["kept"] == 24 and {r["author"] for r in rows} == {"grammar"}
    assert [r["sample"] for r in rows] == sorted(r["sample"] for r in rows)


def test_the_first_step_says_what_an_indirect_prompt_was_understood_to_ask(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    scene = {"objects": [{"id": "o0", "noun": "fish", "attributes": {"colour": "red"}}]}
    given = tmp_path / "riddles.jsonl"
    given.write_text(json.dumps({"prompt": "what a heron waits for, in the colour of blood", "scene": scene}) + "\n")
    source = {"path": str(given), "scene": "scene", "indirect": True}
    recipe |= {"lot_size": 1, "stages": {"prompts": {"source": source}, "plan": {"background_first": 0.0}}}
    nodes, store = make(write_recipe, recipe, tmp_path / "run", ("prompts", "plan"))
    prompt = store.table(nodes["prompts"], 0).to_pylist()[0]
    rows = store.table(nodes["plan"], 0).to_pylist()
    assert prompt["prompt"] == "what a heron waits for, in the colour of blood"
    assert prompt["understood"] == "The prompt asks for a red fish."
    assert rows[0]["instruction"].startswith("The prompt asks for a red fish. ")
    assert all("prompt asks" not in r["instruction"] for r in rows[1:])


@pytest.mark.parametrize(
    ("understood", "kept"),
    [("A heron waits for a fish, here a red fish.", True), ("A heron waits for a red house.", False)],
)
def test_what_the_writer_understood_is_held_against_its_graph_and_begins_the_plan(
    understood: str, kept: bool, recipe: dict[str, Any], write_recipe: Write, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    graph = {"objects": [{"id": "o0", "noun": "fish", "attributes": {"colour": "red"}, "count": 1}], "relations": []}
    said = json.dumps({**graph, "background": "", "understood": understood})
    recipe["models"]["symbols"] = {"kind": "python", "factory": "poison:Knower", "options": {"answer": said}}
    given = tmp_path / "riddles.txt"
    given.write_text("what a heron waits for, in the colour of blood\n")
    source = {"path": str(given), "indirect": True}
    recipe |= {"lot_size": 1, "stages": {"prompts": {"source": source}, "plan": {"background_first": 0.0}}}
    nodes, store = make(write_recipe, recipe, tmp_path / "run", ("prompts", "plan"))
    rows = store.table(nodes["plan"], 0).to_pylist()
    assert bool(rows) is kept
    if kept:
        assert rows[0]["instruction"].startswith(f"{understood} ")
    else:
        [failure] = store.failures(nodes["prompts"], 0)
        assert "understood" in failure["message"] and "house" in failure["message"]
