"""Upgrades keep what is made: lots are taken over where only code changed and a sample comes out equal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import InProcess, make_lot

from benchmarks.staleness import edit_all, edited
from underpaint.pipeline.engine.adopt import adopt, adoption_lines
from underpaint.pipeline.engine.run_folder import Run, mark_run, open_run
from underpaint.pipeline.engine.staleness import explain_plan, plan_lines
from underpaint.pipeline.selection.quota_status import funnel_lines, status
from underpaint.stages import repair
from underpaint.stages.common import code_digest

Write = Callable[[dict[str, Any]], Path]
JUDGING = "underpaint.stages.judgement.panel"
JUDGED = {
    "check", "candidates_painted", "critique", "conflict", "repair", "alignment", "score_alignment",
    "candidates_sampled", "calibration",
}  # fmt: skip


@pytest.fixture
def made(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> Path:
    """A lot of every stage of the structural recipe; gives the recipe's file."""
    recipe["calibration"] = {"cases": 8}
    file = write_recipe(recipe)
    mark_run(open_run(file, tmp_path / "run"))
    make_lot(write_recipe, recipe, tmp_path / "run")
    (tmp_path / "run" / "build.json").write_text(json.dumps({"lots": {"painted": 1, "sampled": 1, "calibrated": 1}}))
    return file


def opened(file: Path) -> Run:
    return open_run(file, file.parent / "run")


def taken_over(run: Run) -> dict[str, list[int]]:
    return {a.stage: list(a.lots) for a in adopt(run, InProcess(), 2)}  # type: ignore[arg-type]


def test_equal_lots_are_taken_over_and_it_is_said(made: Path) -> None:
    before = opened(made)
    with edited(JUDGING, edit_all(JUDGING)):
        run = opened(made)
        plan = {s["stage"]: s for s in explain_plan(run)}
        assert {name for name, s in plan.items() if s["stale"]} == JUDGED
        assert plan["check"]["because"] == ["code changed in stages.judgement.panel"] and plan["check"]["code_only"]
        assert plan["conflict"]["because"] == ["code changed in stages.judgement.panel", "follows critique"]
        assert "`underpaint adopt` may keep their lots" in plan_lines(list(plan.values()))[-1]
        assert taken_over(run) == {name: [0] for name in JUDGED}
        assert taken_over(run) == {}  # nothing is left to do
        assert not any(s["stale"] for s in explain_plan(run))
        for name in JUDGED:
            manifest = run.store.manifest(run.nodes[name], 0)
            assert manifest["adopted"] == {"from": before.nodes[name].fingerprint, "compared": [0]}
            run.store.check(run.nodes[name], 0)
            assert run.store.table(run.nodes[name], 0).equals(before.store.table(before.nodes[name], 0))
            assert run.store.failures(run.nodes[name], 0) == before.store.failures(before.nodes[name], 0)
        lines = funnel_lines(status(run))
        assert any("taken over from before an upgrade" in line and "1 of check" in line for line in lines)
    assert not any("taken over" in line for line in funnel_lines(status(opened(made))))


def test_one_lot_that_differs_is_named_and_none_is_taken(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = code_digest._file("underpaint.stages.repair").read_text()
    with edited("underpaint.stages.repair", source.replace("alone = mends_all(", "alone = False and mends_all(")):
        monkeypatch.setattr(repair, "mends_all", lambda *_: False)  # what the edit comes to
        run = opened(made)
        (found,) = adopt(run, InProcess(), 1)  # type: ignore[arg-type]
        assert found.stage == "repair" and found.lots == [] and list(found.differs) == [0]
        assert adoption_lines([found])[0].endswith(f"none taken over from {found.former}: lot 0 {found.differs[0]}")
        assert not run.store.done(run.nodes["repair"]) and not run.store.done(run.nodes["alignment"])


def test_other_settings_are_no_upgrade(made: Path, recipe: dict[str, Any]) -> None:
    text = made.read_text().replace("answers: 1", "answers: 3")
    made.write_text(text)
    with edited(JUDGING, edit_all(JUDGING)):
        run = opened(made)
        found = taken_over(run)
    assert set(found) == {"check", "candidates_painted"}  # critique has other parameters, calibration is asked like it


def test_a_former_upstream_is_needed(made: Path) -> None:
    """What was made from tables that are no longer ours is not taken over, however equal the code."""
    made.write_text(made.read_text().replace("answers: 1", "answers: 3"))
    run = opened(made)
    assert explain_plan(run)[8]["stage"] == "conflict" and explain_plan(run)[8]["because"] == ["follows critique"]
    assert not any(s["code_only"] for s in explain_plan(run)) and taken_over(run) == {}
