"""Upgrades keep what is made: lots are taken over where only code changed and a sample comes out equal."""

from __future__ import annotations

import json
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import InProcess, make_lot

from benchmarks.staleness import edit_all, edited
from underpaint.pipeline.engine.adopt import adopt, adoption_lines
from underpaint.pipeline.engine.run_folder import Run, mark_run, open_run
from underpaint.pipeline.engine.what_changed import explain_plan, plan_lines
from underpaint.pipeline.engine.worker import stage_worker
from underpaint.pipeline.selection.quota_status import funnel_lines, status
from underpaint.stages import repair
from underpaint.stages.common import code_digest
from underpaint.stages.common.ledger import Ledger
from underpaint.stages.common.roles import AskRequest
from underpaint.stages.common.stage import Outcome
from underpaint.stages.models.symbolic import Symbolic

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


class Dies(InProcess):
    """Breaks off before one stage, as where a machine goes down."""

    def run(self, factory: Callable[..., Any], arguments: Any, *others: Any, **more: Any) -> Any:
        if arguments[1] == "candidates_painted":
            raise KeyboardInterrupt
        return super().run(factory, arguments, *others, **more)


def test_an_adoption_that_broke_off_is_gone_on_with(made: Path) -> None:
    with edited(JUDGING, edit_all(JUDGING)):
        run = opened(made)
        with pytest.raises(KeyboardInterrupt):
            adopt(run, Dies(), 1)  # type: ignore[arg-type]
        assert run.store.done(run.nodes["check"]) and not run.store.done(run.nodes["candidates_painted"])
        assert set(taken_over(run)) == JUDGED - {"check"}


def test_what_an_unfinished_build_left_gives_way(made: Path) -> None:
    """Of a lot that is not done, the table and the quarantine are those of code that nobody compared."""
    before = opened(made)
    with edited(JUDGING, edit_all(JUDGING)):
        run = opened(made)
        node = run.nodes["check"]
        for left in (run.store._table(node, 0), run.store._quarantine(node, 0)):
            left.parent.mkdir(parents=True)
            left.write_bytes(b"{}\n")
        assert "check" in taken_over(run)
        run.store.check(node, 0)
        assert run.store.failures(node, 0) == before.store.failures(before.nodes["check"], 0)


def test_a_lot_whose_input_was_made_again_is_not_taken_over(made: Path) -> None:
    """As after `retry`: the input's fingerprint is the same, its rows are not."""
    run = opened(made)
    for name, node in run.nodes.items():
        stage_worker(run.recipe, name, str(run.root.resolve()), node.fingerprint)(1)
    critiques = run.store.table(run.nodes["critique"], 1)
    run.store.put(run.nodes["critique"], 1, Outcome(critiques.slice(1), Ledger()))
    module = "underpaint.stages.conflict"
    with edited(module, edit_all(module)):
        (found, *_) = adopt(opened(made), InProcess(), 1)  # type: ignore[arg-type]
    assert (found.stage, found.lots, found.compared) == ("conflict", [0], [0])


def test_a_remote_model_is_asked_nothing(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers cost money, and cannot be had again: what the journal lacks says that the lot would differ."""
    sent: list[AskRequest] = []
    say = Symbolic.ask

    def remember(self: Any, memory: MutableMapping[str, str]) -> None:
        self.memory = memory

    def ask(self: Any, requests: Sequence[AskRequest]) -> list[str]:
        for r in requests:
            if r.digest not in self.memory:
                sent.append(r)
                self.memory[r.digest] = say(self, [r])[0]
        return [self.memory[r.digest] for r in requests]

    monkeypatch.setattr(Symbolic, "remember", remember, raising=False)
    monkeypatch.setattr(Symbolic, "ask", ask)
    with edited(JUDGING, edit_all(JUDGING)):
        found = adopt(opened(made), InProcess(), 1)  # type: ignore[arg-type]
    assert {a.stage for a in found if a.differs} >= {"check", "critique"} and not sent
    assert "has no answer" in found[0].differs[0]
