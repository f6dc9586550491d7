"""A template that names a model of its own and a further field of the answer: from the recipe into the shards."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import make_lot

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.corpus.assemble import Assembler, model_names
from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.pipeline.selection.select import select
from underpaint.pipeline.workbench.lint import lint_file
from underpaint.pipeline.workbench.listing import list_templates, listing_lines
from underpaint.stages.all_stages import STAGES
from underpaint.stages.common.templating import BUILT_IN

Write = Callable[[dict[str, Any]], Path]
BUILT = (BUILT_IN / "critique_picture.md.j2").read_text()


def own(folder: Path, *changes: tuple[str, str]) -> Path:
    """The built-in critique of pictures, put to the model `second` and with a field of its own."""
    text = BUILT
    for old, new in (
        ("output: critique/1\n", "output: critique/1\nmodel: second\nfields: {severity: {type: integer}}\n"),
        ('  "correction": string', '  "severity": integer from 0, how bad it is.\n  "correction": string'),
        ('"correction": ""}', '"correction": "", "severity": 0}'),
        ('cup at the top right blue."}', 'cup at the top right blue.", "severity": 2}'),
        ('"Add a blue cup at the top right."}', '"Add a blue cup at the top right.", "severity": 5}'),
        ('"Paint a nicer car."}', '"Paint a nicer car.", "severity": 1}'),
        *changes,
    ):  # fmt: skip
        assert old in text, old
        text = text.replace(old, new)
    folder.mkdir(exist_ok=True)
    (folder / "critique_picture.md.j2").write_text(text)
    return folder


@pytest.fixture
def named(recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    recipe["models"]["second"] = {"kind": "python", "factory": "poison:Severe"}
    recipe["templates"] = [str(own(tmp_path / "t"))]
    recipe["lot_size"] = 12
    return recipe


def test_what_the_template_asks_for_is_found_in_the_sample(
    named: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    assert lint_file(tmp_path / "t" / "critique_picture.md.j2", {n: s.tasks for n, s in STAGES.items()}) == []
    loaded, nodes, store = make_lot(write_recipe, named, tmp_path / "run")
    assemble = Assembler(loaded, nodes, store)
    found = [assemble(r)[0] for r in select(loaded, nodes, store, {"painted": 1, "sampled": 1}).chosen]
    sides = {side: [s for s in found if s.subset == side] for side in ("alignment", "conflict", "multi_turn")}
    assert all(sides.values())

    def critiques(side: str) -> list[dict[str, Any]]:
        return [json.loads(s.extra)["critique"] for s in sides[side]]

    assert {c["extra"]["severity"] for c in critiques("alignment")} == {0, 3}
    assert all("extra" not in c for c in critiques("conflict"))  # the text side's template has no field
    said = {side: {p.model for s in mine for p in s.segments if p.stage == "inspect"} for side, mine in sides.items()}
    assert said == {"alignment": {"second"}, "conflict": {"symbols"}, "multi_turn": set()}
    scores = {c.model for s in sides["multi_turn"] for p in s.images for c in p.scores if c.name == "judge_agreement"}
    assert scores == {"second"}
    assert not {c.name for s in found for p in s.images for c in p.scores} & {"judge_graded"}  # nobody gave odds


def test_the_model_counts_where_the_template_is_used(
    named: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    before = build_graph(load_recipe(write_recipe(named)))
    assert before["critique"].named == (("second", "judge"),) and before["rollout"].named == ()
    assert {"model second", "code of the judge second"} <= {*before["check"].parts}
    named["models"]["second"]["options"] = {"worst": 4}
    after = build_graph(load_recipe(write_recipe(named)))
    changed = {name for name in STAGES if before[name].fingerprint != after[name].fingerprint}
    assert {"check", "critique", "repair", "calibration"} <= changed
    assert not {"prompts", "plan", "draft", "rollout"} & changed
    assert [n for n, _ in model_names(load_recipe(write_recipe(named))).values()].count("second") == 1


def test_its_gpu_is_planned_for(named: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    address = {"kind": "openai", "model": "m", "revision": "r", "base_url": "http://127.0.0.1:9/v1"}
    named["models"]["far"] = address
    named["roles"]["judge"] = "far"
    named["run"] = {"gpus": 1, "gpu_roles": ["judge"]}

    def gpus(stage: str) -> float:
        loaded = load_recipe(write_recipe(named))
        nodes = build_graph(loaded)
        return Run(loaded, tmp_path, nodes, tmp_path / "recipe.yaml").gpus(nodes[stage])

    assert (gpus("check"), gpus("rollout")) == (1, 0)  # the judge is far, the template's model is here
    named["models"]["second"] = address
    assert gpus("check") == 0


@pytest.mark.parametrize(
    ("model", "said"),
    [("secnd", "there is no model 'secnd' in models; did you mean 'second'"), ("renderer", "can only be painter")],
)
def test_a_model_that_cannot_judge_is_refused(
    named: dict[str, Any], write_recipe: Write, tmp_path: Path, model: str, said: str
) -> None:
    own(tmp_path / "t", ("model: second", f"model: {model}"))
    with pytest.raises(UserError, match=rf"critique_picture.md.j2, line 7: field model: .*{said}"):
        load_recipe(write_recipe(named))


def test_an_answer_without_the_field_is_unread(named: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    named["models"]["second"]["options"] = {"worst": None}
    _, nodes, store = make_lot(write_recipe, named, tmp_path / "run")
    failures = store.failures(nodes["check"], 0)
    assert failures and all("severity: this field is missing" in f["message"] for f in failures)
    assert store.table(nodes["check"], 0).num_rows == 0


def test_the_list_says_whom_a_template_asks_and_whose_words_it_has(
    named: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    own(tmp_path / "t", ("output: critique/1", "dialect: severe\noutput: critique/1"))
    lines = listing_lines(list_templates(load_recipe(write_recipe(named)).every_template(), None))
    mine = next(line for name, line in pairwise(lines) if name.startswith("critique_picture "))
    assert "asks the model second; in the dialect severe, which no other model was taught" in mine
    off = next(line for name, line in pairwise(lines) if name.startswith("critique_picture_q"))
    assert "switched off" in off
