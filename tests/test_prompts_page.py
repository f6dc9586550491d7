"""The examples of docs/prompts.md, run as they stand there."""

from __future__ import annotations

import doctest
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from conftest import ROOT

from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.engine.store import Store
from underpaint.pipeline.engine.worker import stage_worker
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.stages.prompts import PromptParams

PAGE = (ROOT / "docs" / "prompts.md").read_text()
BLOCKS = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


def test_the_python_example_says_what_it_says() -> None:
    example = doctest.DocTestParser().get_doctest(PAGE, {}, "prompts.md", "docs/prompts.md", 0)
    assert doctest.DocTestRunner().run(example).failed == 0 and example.examples


def test_the_worked_example_gives_its_result(
    recipe: dict[str, Any], write_recipe: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    (tmp_path / "own.txt").write_text(BLOCKS["own.txt"])
    recipe |= yaml.safe_load(BLOCKS["prompts.yaml"])
    loaded = load_recipe(write_recipe(recipe))
    node, store = build_graph(loaded)["prompts"], Store(tmp_path / "run")
    ledger = stage_worker(loaded, "prompts", str(tmp_path / "run"), node.fingerprint)(0)["ledger"]
    rows = store.table(node, 0).to_pylist()
    lines = [f"{r['sample']} {r['origin']:<8} {r['category']:<12} {r['prompt']}" for r in rows]
    lines += [f"quarantined  sample {f['sample']}: {f['detail']}" for f in store.failures(node, 0)]
    lines += [f"{number} rejected: {reason}" for reason, number in ledger["rejected"].items()]
    assert [re.sub(r" +", " ", line) for line in lines] == [
        re.sub(r" +", " ", x) for x in BLOCKS["result"].splitlines()
    ]


def test_the_worked_scenes_are_taken(
    recipe: dict[str, Any], write_recipe: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    (tmp_path / "scenes.jsonl").write_text(BLOCKS["scenes.jsonl"])
    loaded = load_recipe(write_recipe(recipe | yaml.safe_load(BLOCKS["scenes.yaml"])))
    node, store = build_graph(loaded)["prompts"], Store(tmp_path / "run")
    stage_worker(loaded, "prompts", str(tmp_path / "run"), node.fingerprint)(0)
    assert [(row["origin"], row["prompt"]) for row in store.table(node, 0).to_pylist()] == [
        ("user", "the animal on Australia's coat of arms that hops"),
        ("user", "A red car and two trees. The red car is below the trees."),
    ]


def test_the_recipes_fields_are_there() -> None:
    for block in re.findall(r"^```yaml.*?\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        PromptParams.model_validate(yaml.safe_load(block)["stages"]["prompts"])
    shown = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    source = PromptParams.model_fields["source"].annotation
    assert set(shown) - {"source"} == set(source.__args__[0].model_fields)  # type: ignore[union-attr]
