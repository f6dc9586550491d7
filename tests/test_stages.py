"""The stages one by one on a drawn world, without Ray: what they make, and what they do with bad rows."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_lot

from underpaint.miniature.world import vocabulary
from underpaint.pipeline.engine import worker
from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.pipeline.selection.select import select
from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.critique import Critique, Finding, Side, Verdict
from underpaint.schemas.scenes.grammar import read
from underpaint.schemas.scenes.inspection import why_stuck
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.all_stages import STAGES
from underpaint.stages.answers.reading import CritiqueError
from underpaint.stages.common.ledger import Ledger, balances
from underpaint.stages.common.roles import ModelUnavailable, each
from underpaint.stages.common.stage import outcome
from underpaint.stages.judgement.entailment import weigh_observations

Write = Callable[[dict[str, Any]], Path]


def test_every_stage_keeps_its_schema_and_its_ledger(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    recipe["lot_size"] = 32
    loaded, nodes, store = make_lot(write_recipe, recipe, tmp_path / "run")
    for name, node in nodes.items():
        assert store.table(node, 0).schema.equals(STAGES[name].schema), name
        ledger = store.manifest(node, 0)["ledger"]
        assert balances(ledger) and ledger["entered"] > 0
    chosen = select(loaded, nodes, store, {"painted": 1, "sampled": 1})
    assert all(chosen.accepted.values()), chosen.accepted


def test_planted_faults_are_what_the_judge_finds(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    """The drawn painter's drafts are wrong exactly where the symbolic judge says so."""
    recipe["lot_size"] = 24
    _, nodes, store = make_lot(write_recipe, recipe, tmp_path / "faulty")
    faulty = store.table(nodes["check"], 0)["verdict"].to_pylist()
    assert 0.1 < faulty.count("conflict") / len(faulty) < 0.45
    recipe["models"]["renderer"]["fault_rate"] = 0.0
    recipe["models"]["symbols"]["fault_rate"] = 0.0
    _, nodes, store = make_lot(write_recipe, recipe, tmp_path / "right")
    assert set(store.table(nodes["check"], 0)["verdict"].to_pylist()) == {"consistent"}
    critiques = store.table(nodes["critique"], 0).to_pylist()
    assert {c["verdict"] for c in critiques} == {"consistent", "incomplete"}  # not painted yet is not wrong


def test_bad_rows_go_to_quarantine_with_what_explains_them(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    recipe["lot_size"] = 24
    recipe["models"]["renderer"] = {"kind": "python", "factory": "poison:TornPainter"}
    recipe["models"]["symbols"] = {"kind": "python", "factory": "poison:Mumbler"}
    _, nodes, store = make_lot(write_recipe, recipe, tmp_path / "run")
    found = {name: store.failures(node, 0) for name, node in nodes.items()}
    torn = found["draft"]
    assert torn and all("star" in f["request"] and f["trace"] for f in torn)
    assert any(f["error"] == "AnswerError" and f["response"] == "let us see" for f in found["rollout"])
    mumbled = [f for f in found["critique"] if f["error"] == "CritiqueError"]
    assert mumbled and all("cup" in f["request"] and '{"observed": [' in f["response"] for f in mumbled)
    assert all(balances(store.manifest(node, 0)["ledger"]) for node in nodes.values())
    assert store.table(nodes["check"], 0).num_rows > 0  # and the lot went on


def test_a_model_that_fails_every_row_alike_is_to_blame_itself() -> None:
    def broken(requests: Sequence[int]) -> list[int]:
        if any(r >= 0 for r in requests):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return list(requests)

    with pytest.raises(ModelUnavailable, match="each of 4 requests failed: RuntimeError: CUDA error"):
        each(broken, [0, 1, 2, 3])
    assert [type(a) for a in each(broken, [0, 1, 2, -3])] == [RuntimeError] * 3 + [int]
    assert [type(a) for a in each(broken, [0, 1])] == [RuntimeError] * 2  # so few may be refused for their own sake

    def confused(requests: Sequence[int]) -> list[int]:
        raise ValueError("odd") if requests[0] % 2 else RuntimeError("even")

    assert [type(a) for a in each(confused, [0, 1, 2, 3])] == [RuntimeError, ValueError] * 2


def test_global_generators_are_seeded_for_recipe_stage_and_lot(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    drawn: set[tuple[float, float, float]] = set()
    seed = worker._seed_globals

    def seed_and_draw(number: int) -> None:
        seed(number)
        drawn.add((random.random(), np.random.random(), torch.rand(1).item()))

    monkeypatch.setattr(worker, "_seed_globals", seed_and_draw)
    for number in (3, 4):
        loaded = load_recipe(write_recipe({**recipe, "seed": number}))
        nodes, root = build_graph(loaded), str(tmp_path / f"{number}")
        for stage, lots in (("prompts", (0, 1)), ("plan", (0,))):
            for lot in lots:
                worker.stage_worker(loaded, stage, root, nodes[stage].fingerprint)(lot)
    assert len(drawn) == 6 and all(len(set(column)) == 6 for column in zip(*drawn, strict=True))
    seed_and_draw(7)
    seed_and_draw(7)
    assert len(drawn) == 7


def test_a_ledger_that_does_not_balance_is_refused() -> None:
    ledger = Ledger()
    ledger.enter(2)
    ledger.keep()
    with pytest.raises(ValueError, match="does not balance"):
        outcome(STAGES["prompts"].row, [], ledger)


@pytest.mark.parametrize(
    ("observed", "answer", "said"),
    [
        (["a red car at the top left", "a sand background"], "consistent", ""),
        (["a blue car at the top left", "a sand background"], "conflict", ""),
        (["a blue car at the top left", "a sand background"], "consistent", "its observations entail conflict"),
        (["a red car at the top left", "a sand background"], "conflict", "its observations entail consistent"),
        (["a red car at the top left: as asked", "a sand background: as asked"], "consistent", ""),
        (["a blue car at the top left: asked is a red car at the top left"], "conflict", ""),
        (["a blue car at the top left: asked is a red car at the top left"], "consistent", "entail conflict"),
        (["a sand background: as asked", "a red car at the top left: missing"], "consistent", "entail conflict"),
        (["something like a car"], "consistent", ""),  # outside the grammar: said to be unread
    ],
)
def test_a_critique_must_follow_from_its_observations(
    vocabulary: Vocabulary, observed: list[str], answer: str, said: str
) -> None:
    fault = Finding(kind=FaultKind.WRONG_ATTRIBUTE, detail="the car is blue, not red")
    against = answer == "conflict"
    critique = Critique(
        observed=tuple(observed),
        findings=(fault,) if against else (),
        verdict=Verdict(answer),
        analysis="so it is",
        correction="Make the blue car red." if against else "",
    )
    words = {"instruction": "Paint it.", "description": "A red car at the top left on a sand background."}

    def weigh(how: str) -> Critique:
        return weigh_observations(how, Side.PICTURE, words, vocabulary, critique).critique

    assert weigh("ignore") == critique
    if said:
        with pytest.raises(CritiqueError, match=said):
            weigh("require")
        assert weigh("conclude").verdict is not critique.verdict
        return
    assert weigh("require") == critique
    assert weigh("conclude").verdict is critique.verdict
    unread = weigh_observations("conclude", Side.PICTURE, words, vocabulary, critique).unread
    assert bool(unread) == (observed == ["something like a car"])


TWO, THREE = "A red car and a blue cup.", "Two red cars, a blue cup and a red fish."
ROW = "A car, a cup and a fish. The cup is to the right of the car. The fish is above the cup."


@pytest.mark.parametrize(
    ("prompt", "description", "why"),
    [
        (TWO, "A red car at the top left and a blue cup at the top left.", "two things in one place"),
        ("Two cups and two cars.", "Two cups on the left and two cars at the top.", "two things in one place"),
        (THREE, "A blue cup at the top left and a red fish at the bottom right.", "no place is left"),
        (ROW, "A car at the top left and a cup at the top right.", "no place is left"),
        (THREE, "A blue cup at the top left and a red fish at the top right.", ""),
    ],
)
def test_a_step_after_which_the_prompt_cannot_be_met_is_no_positive(prompt: str, description: str, why: str) -> None:
    found = why_stuck(read(description, vocabulary()), read(prompt, vocabulary()), vocabulary())
    assert found.startswith(why) and bool(found) == bool(why)
