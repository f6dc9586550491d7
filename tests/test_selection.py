"""The selection on a handful of candidates: each threshold at its edge, who is chosen, and what is said of it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from stage_inputs import filled

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.engine.candidate_tables import EMPTY, Candidates
from underpaint.pipeline.engine.graph import stage_lots
from underpaint.pipeline.recipe.benchmark_lists import Benchmarks
from underpaint.pipeline.recipe.corpus_settings import Select
from underpaint.pipeline.recipe.quotas import PAPER
from underpaint.pipeline.recipe.recipe import Recipe, load_recipe
from underpaint.pipeline.selection.decisions import FILE, Decision, add_decision, load_decisions
from underpaint.pipeline.selection.pool import CandidatePool, open_pool
from underpaint.pipeline.selection.quota_status import funnel_lines, quota_lines, quota_status, status
from underpaint.pipeline.selection.reference import Reference, to_json
from underpaint.pipeline.selection.select import Selection, select, short_of
from underpaint.pipeline.selection.threshold_grid import yield_lines, yields
from underpaint.pipeline.selection.thresholds import MEASURES, least
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.all_stages import BRANCHES, STAGES

Write = Callable[[dict[str, Any]], Path]
MULTI, NEGATIVE = "multi_turn", "alignment_negative"


def table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Candidates without a fault; each has a content and a scene of its own unless it says so."""
    own = ({"kind": MULTI, "content": n, "scene": f"scene {n}", "agreement": 1.0, "lot": 0} for n in range(len(rows)))
    return filled(EMPTY.schema, [{**o, **r} for o, r in zip(own, rows, strict=True)])


def pool(*rows: Mapping[str, Any]) -> CandidatePool:
    return CandidatePool(table(rows))


def accepted(found: CandidatePool) -> list[int]:
    return [int(i) for i in np.flatnonzero(found.accepted())]


@pytest.mark.parametrize("measure", MEASURES)
def test_what_reaches_a_threshold_passes_and_what_has_no_score_does_too(measure: str) -> None:
    found = pool({measure: 0.25}, {measure: 0.5}, {measure: 0.75}, *([{}] if measure != "agreement" else []))
    found.refuse_by(Select(**{f"min_{measure}": 0.5}))
    assert accepted(found) == ([1, 2] if measure == "agreement" else [1, 2, 3])
    assert found.counts() == {MULTI: {f"{measure} below the threshold": 1}}


def test_without_thresholds_everything_passes() -> None:
    lowest = {"agreement": 0.0, "picture_text": -1.0, "neighbour": -1.0, "margin": -2.0}
    found = pool(lowest, {"agreement": 1.0, "picture_text": 1.0, "neighbour": 1.0, "margin": 2.0})
    found.refuse_by(Select())
    assert accepted(found) == [0, 1] and found.counts() == {}


def test_a_rank_is_taken_of_each_kind_by_itself() -> None:
    values = np.array([0.5, 0.1, np.nan, 0.3, 0.2, 0.4, 0.9, np.nan])
    kinds = np.array(["a"] * 6 + ["b", "c"])

    def lows(quantile: float) -> list[float]:
        return least(Select(min_margin={"quantile": quantile}), "margin", values, kinds).tolist()  # type: ignore[arg-type]

    assert lows(0.25) == [0.2] * 6 + [0.9, -np.inf]  # of five, one lies below the second
    assert lows(0.3) == [0.3] * 6 + [0.9, -np.inf]  # 1.2 of five lie below it
    assert lows(0.0) == [0.1] * 6 + [0.9, -np.inf]
    assert least(Select(min_margin=0.4), "margin", values, kinds).tolist() == [0.4] * 8


def test_the_first_reason_counts_and_the_judges_rejects_count_in_a_rank() -> None:
    rows = [
        {"fault": "b", "margin": 0.0, "agreement": 0.0},
        {"fault": "a", "margin": 0.25},
        {"margin": 0.5, "agreement": 0.25},
        {"margin": 0.625},
        {"margin": 0.75},
    ]
    found = pool(*rows)
    found.refuse_faults()
    assert accepted(found) == [2, 3, 4] and found.counts() == {MULTI: {"a": 1, "b": 1}}
    found.refuse_by(Select(min_agreement=0.5, min_margin={"quantile": 0.75}))  # type: ignore[arg-type]
    # three quarters of all five lie below 0.625; of the three without a fault it would be 0.75
    assert accepted(found) == [3, 4]
    assert found.counts() == {MULTI: {"a": 1, "b": 1, "agreement below the threshold": 1}}
    assert found.accepted_by_kind() == {MULTI: 2}


def test_of_duplicates_the_first_that_passes_stays() -> None:
    rows = [
        {"content": 7, "agreement": 0.25}, {"content": 7}, {"content": 8}, {"content": 7}, {"content": 8},
        {"content": 9, "kind": NEGATIVE},
    ]  # fmt: skip
    found = pool(*rows)
    found.refuse_by(Select(min_agreement=0.5))
    assert accepted(found) == [1, 2, 5]
    assert found.counts() == {MULTI: {"agreement below the threshold": 1, "a duplicate": 2}}
    assert found.accepted_by_kind() == {MULTI: 2, NEGATIVE: 1}


def test_a_fork_is_refused_alone() -> None:
    found = pool({"agreement": 0.25}, {})
    other = found.fork()
    other.refuse_by(Select(min_agreement=0.5))
    assert accepted(other) == [1] and accepted(found) == [0, 1]
    found.refuse_by(Select(min_agreement=0.125))
    assert found.counts() == {} and other.counts() == {MULTI: {"agreement below the threshold": 1}}


def test_a_person_overrules_thresholds_and_nothing_else(vocabulary: Vocabulary) -> None:
    rows = [{"agreement": 0.0}, {"agreement": 0.0}, {"fault": "f"}, {}, {"kind": NEGATIVE, "content": 0}]
    said = {
        (MULTI, n): Decision(kind=MULTI, content=n, decision=d)  # type: ignore[arg-type]
        for n, d in ((0, "accept"), (2, "accept"), (3, "reject"))
    }
    found, contaminated = open_pool(table(rows), Benchmarks([], 8, vocabulary), said)
    assert contaminated == {}
    found.refuse_by(Select(min_agreement=0.5))
    assert accepted(found) == [0]  # the last one is another kind, and its content is that of the first: a duplicate
    assert found.counts()[MULTI] == {"agreement below the threshold": 1, "f": 1, "a reviewer's decision": 1}
    assert found.counts()[NEGATIVE] == {"a duplicate": 1}


def test_a_cell_holds_its_kind_and_category() -> None:
    found = pool({"category": "x"}, {"category": "y"}, {"category": "x", "kind": NEGATIVE})
    cells = found.cells({(MULTI, "x"): 1, (MULTI, ""): 1, (NEGATIVE, "y"): 1})
    assert {cell: members.tolist() for cell, members in cells.items()} == {
        (MULTI, "x"): [True, False, False],
        (MULTI, ""): [True, True, False],
        (NEGATIVE, "y"): [False, False, False],
    }


def test_a_benchmarks_prompts_go_wherever_they_stand(tmp_path: Path, vocabulary: Vocabulary) -> None:
    (tmp_path / "bench.txt").write_text("A red car.\n")
    lists = Benchmarks([tmp_path / "bench.txt"], 8, vocabulary)
    scene = lists.lines[0].scene
    rows = [{"prompt": "ours"}, {"prompt": "theirs", "scene": scene}, {"prompt": "other"}, {"prompt": "ours"},
            {"prompt": "theirs", "scene": scene}]  # fmt: skip
    found, contaminated = open_pool(table(rows), lists, {})
    assert accepted(found) == [0, 2, 3] and list(contaminated) == ["theirs"]
    assert contaminated["theirs"].line.prompt == "A red car."
    assert found.counts() == {MULTI: {"a benchmark's prompt": 2}}
    assert open_pool(table([]), lists, {})[1] == {}


class Given(Candidates):
    """Candidates of an invented store."""

    def __init__(self, *rows: Mapping[str, Any]) -> None:
        self.rows = table(rows)

    def table(self, lots: Any) -> pa.Table:
        return self.rows


def wanted(write: Write, recipe: dict[str, Any], categories: Any = None, **more: Any) -> Recipe:
    numbers = {**dict.fromkeys(PAPER, 0), **{k: more.pop(k) for k in PAPER if k in more}}
    quotas = {**numbers, **({"categories": categories} if categories else {})}
    return load_recipe(write({**recipe, "quotas": quotas, **more}))


def choose(recipe: Recipe, *rows: Mapping[str, Any], painted: int = 1, sampled: int = 1) -> Selection:
    lots = {"painted": painted, "sampled": sampled}
    return select(recipe, {}, None, lots, Given(*rows), recipe.benchmarks(), {})  # type: ignore[arg-type]


def test_the_first_in_the_stream_are_chosen_until_the_quota_is_met(recipe: dict[str, Any], write_recipe: Write) -> None:
    made = wanted(write_recipe, recipe, multi_turn=2, alignment_negative=2, select={"min_agreement": 0.5})
    rows = [
        {"sample": 0, "agreement": 0.25}, {"sample": 1}, {"sample": 2, "fault": "f"}, {"sample": 3}, {"sample": 4},
        {"sample": 5, "kind": NEGATIVE, "rollout": 1, "step": 2, "pictures": 2, "category": "c", "scene": "s"},
        {"sample": 6, "kind": "conflict_positive"},
    ]  # fmt: skip
    found = choose(made, *rows)
    ours = sorted((r.id, r.sample) for r in found.chosen if r.name == MULTI)
    assert ours == [("mtg-00000000", 1), ("mtg-00000001", 3)]
    (one,) = [r for r in found.chosen if r.name == NEGATIVE]
    assert (one.sample, one.rollout, one.step, one.pictures, one.category, one.group) == (5, 1, 2, 2, "c", "s")
    assert one.subset == "alignment"
    assert found.seen == {
        **{(k, ""): 0 for k in PAPER},
        (MULTI, ""): 5,
        (NEGATIVE, ""): 1,
        ("conflict_positive", ""): 1,
    }
    assert found.accepted == {**dict.fromkeys(PAPER, 0), MULTI: 3, NEGATIVE: 1, "conflict_positive": 1}
    assert found.rejected[MULTI] == {"f": 1, "agreement below the threshold": 1, "over quota": 1}
    assert found.rejected["conflict_positive"] == {"over quota": 1} and NEGATIVE not in found.rejected
    assert found.met({(MULTI, ""): 3, (NEGATIVE, ""): 1}) and found.met({("not asked for", ""): 0})
    assert not found.met({("not asked for", ""): 1})
    assert not found.met({(MULTI, ""): 4}) and not found.met({(MULTI, ""): 1, (NEGATIVE, ""): 2})


def test_ids_count_within_a_subset_and_the_order_is_shuffled(recipe: dict[str, Any], write_recipe: Write) -> None:
    made = wanted(write_recipe, recipe, conflict_positive=20, conflict_negative=20, multi_turn=20)
    kinds = ["conflict_positive", "multi_turn", "conflict_negative"] * 20
    found = choose(made, *({"kind": kind, "sample": n} for n, kind in enumerate(kinds)))
    by_stream = sorted(found.chosen, key=lambda r: r.sample)
    ids = [r.id for r in by_stream if r.subset == "conflict"]
    assert len(ids) == len(set(ids)) == 40 and ids == sorted(ids)  # both polarities in one row
    assert [int(i.split("-")[-1]) for i in ids] == list(range(40))
    assert [int(r.id.split("-")[-1]) for r in by_stream if r.name == MULTI] == list(range(20))
    assert found.chosen != by_stream and choose(made, *({"kind": kind, "sample": n} for n, kind in enumerate(kinds))
    ).chosen == found.chosen  # fmt: skip
    other = wanted(write_recipe, {**recipe, "seed": 4}, conflict_positive=20, conflict_negative=20, multi_turn=20)
    reordered = choose(other, *({"kind": kind, "sample": n} for n, kind in enumerate(kinds))).chosen
    assert [r.id for r in reordered] != [r.id for r in found.chosen]


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.25, 460, 540), (0.75, 1460, 1540)])
def test_the_share_for_validation_is_that_of_scenes(
    recipe: dict[str, Any], write_recipe: Write, share: float, low: int, high: int
) -> None:
    """Of 2,000 scenes; a binomial's deviation is 19."""
    made = wanted(write_recipe, recipe, multi_turn=2000, select={"validation_share": share})
    splits = Counter(r.split for r in choose(made, *({} for _ in range(2000))).chosen)
    assert low <= splits["validation"] <= high and splits["validation"] + splits["train"] == 2000


def test_the_latter_half_of_each_branch_s_lots_is_the_recent_one(recipe: dict[str, Any], write_recipe: Write) -> None:
    made = wanted(write_recipe, recipe, multi_turn=1, alignment_negative=1)
    rows = [{"lot": lot} for lot in range(7)] + [{"lot": lot, "kind": NEGATIVE} for lot in range(5)]
    rows[0]["fault"] = rows[4]["fault"] = "f"
    found = choose(made, *rows, painted=7, sampled=5)
    assert (found.recent[MULTI, ""], found.cells[MULTI, ""], found.seen[MULTI, ""]) == (3, 5, 7)  # lots 3, 5 and 6
    assert (found.recent[NEGATIVE, ""], found.cells[NEGATIVE, ""]) == (3, 5)  # lots 2, 3 and 4


def test_decisions_and_lists_are_read_where_they_are_not_at_hand(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    (tmp_path / "bench.txt").write_text("A red car.\n")
    made = wanted(write_recipe, recipe, multi_turn=3, decontaminate={"lists": ["bench.txt"]})
    add_decision(tmp_path, Decision(kind=MULTI, content=1, decision="reject"))
    key = made.benchmarks().lines[0].scene
    store: Any = SimpleNamespace(root=tmp_path)
    found = select(made, {}, store, {"painted": 1, "sampled": 0}, Given({}, {}, {"scene": key, "prompt": "p"}))
    assert [r.sample for r in found.chosen] == [0] and list(found.contaminated) == ["p"]
    assert found.rejected == {MULTI: {"a reviewer's decision": 1, "a benchmark's prompt": 1}}


def test_a_decision_is_written_before_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append((tmp_path / FILE).read_text()))
    add_decision(tmp_path, Decision(kind=MULTI, content=1, decision="reject"))
    (text,) = synced
    assert json.loads(text)["content"] == 1 and text == (tmp_path / FILE).read_text()


def test_a_line_that_is_no_decision_is_told_by_its_first_fault(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"kind": 1, "content": "x", "decision": "maybe"}\n')
    with pytest.raises(UserError, match="line 1: field kind"):
        load_decisions(tmp_path)


def test_a_reason_is_kept_in_its_own_letters_and_at_most_2000_of_them(tmp_path: Path) -> None:
    long = Decision(kind=MULTI, content=1, decision="reject", reason="ü" * 2000)
    add_decision(tmp_path, long)
    assert "ü" * 2000 in (tmp_path / FILE).read_text(encoding="utf-8") and load_decisions(tmp_path) == {
        (MULTI, 1): long
    }
    with pytest.raises(ValidationError):
        Decision(kind=MULTI, content=1, decision="reject", reason="ü" * 2001)


def test_what_falls_short_says_by_how_much_and_why() -> None:
    found = Selection(
        cells={(MULTI, "x"): 3, (MULTI, "y"): 2, (NEGATIVE, ""): 4},
        seen={(MULTI, "x"): 9, (NEGATIVE, ""): 4},
        rejected={MULTI: Counter({"over quota": 4, "b": 1, "a": 2}), NEGATIVE: Counter({"over quota": 1})},
    )  # type: ignore[arg-type]
    lots = {"painted": 4, "sampled": 0}
    assert short_of(found, {(MULTI, "x"): 5, (MULTI, "y"): 2, (NEGATIVE, ""): 6}, lots) == [
        "multi_turn, x: 3 of 5 after 4 lots (0.75 a lot, of 9 candidates); refused of all multi_turn: 2 a, 1 b",
        "alignment_negative: 4 of 6 after 0 lots (4.00 a lot, of 4 candidates)",
    ]
    (line,) = short_of(found, {(MULTI, ""): 1}, lots)
    assert line == "multi_turn: 0 of 1 after 4 lots (0.00 a lot, of 0 candidates); refused: 2 a, 1 b"
    assert short_of(found, {(MULTI, "x"): 3, (NEGATIVE, ""): 0}, lots) == []
    (line,) = short_of(found, {(MULTI, "x"): 3, (MULTI, "y"): 3}, lots)  # the first is met
    assert line.startswith("multi_turn, y: 2 of 3")


def test_a_reference_is_a_line() -> None:
    one = Reference("conflict_negative", 1, 2, 3, "c", "g", 4, id="i", split="train")
    assert one.subset == "conflict" and Reference("multi_turn", 0, 0, 0, "", "", 1).subset == "multi_turn"
    text = to_json([one, one])
    assert list(json.loads(text.splitlines()[0])) == sorted(vars(one))  # as every version writes it
    assert text.endswith("\n") and [json.loads(line) for line in text.splitlines()] == [vars(one)] * 2


EIGHTHS = [{"margin": n / 8, "agreement": 1.0} for n in range(11)]  # 0, 0.125, … 1.25


@pytest.mark.parametrize(
    ("own", "thresholds", "left"),
    [
        (-2.0, [-2.0, 0.0, 0.125, 0.25, 0.625, 0.875, 1.125], [11, 11, 10, 9, 6, 4, 2]),
        (0.25, [0.125, 0.25, 0.625, 0.875, 1.125], [10, 9, 6, 4, 2]),  # the least changes nothing
        (0.0, [0.0, 0.125, 0.25, 0.625, 0.875, 1.125], [11, 10, 9, 6, 4, 2]),
        ({"quantile": 0.3}, [0.0, 0.05, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9], [11, 10, 10, 8, 8, 6, 3, 2]),
    ],
)
def test_what_a_threshold_costs(own: Any, thresholds: list[float], left: list[int]) -> None:
    found = pool(*EIGHTHS)
    grid = [y for y in yields(found, Select(min_margin=own)) if y.measure == "margin"]
    assert [y.threshold for y in grid] == thresholds
    assert [y.accepted[MULTI] for y in grid] == left
    mine = own["quantile"] if isinstance(own, dict) else own
    assert [y.threshold for y in grid if y.current] == [mine]
    assert accepted(found) == list(range(11))


def test_thresholds_are_told_in_thousandths() -> None:
    grid = yields(pool({"margin": 0.3125}, {"margin": 0.4375}), Select())  # 312.5 and 437.5 thousandths
    assert [y.threshold for y in grid if y.measure == "margin"] == [-2.0, 0.312]


def test_the_other_thresholds_stay_and_what_nobody_has_is_left_out() -> None:
    found = pool(*EIGHTHS[:-1], {"margin": 1.25, "agreement": 0.25})
    grid = yields(found, Select(min_agreement=0.5))
    assert {y.measure for y in grid} == {"agreement", "margin"}  # nobody has the others
    assert [y.accepted[MULTI] for y in grid if y.measure == "margin"] == [10, 10, 9, 8, 5, 3, 1]
    assert [(y.threshold, y.current, y.accepted[MULTI]) for y in grid if y.measure == "agreement"] == [
        (0.5, True, 10), (1.0, False, 10),
    ]  # fmt: skip
    header, *lines = yield_lines(grid, [MULTI, NEGATIVE])
    assert header.split() == ["accepted", "at", "the", "threshold", MULTI, NEGATIVE]
    assert [line.split() for line in lines[:2]] == [
        ["*", "min_agreement", "0.500", "10", "0"], ["min_agreement", "1.000", "10", "0"],
    ]  # fmt: skip
    assert len(lines) == len(grid) and len(set(map(len, lines))) == 1


def test_quotas_are_told_by_kind_and_category(recipe: dict[str, Any], write_recipe: Write) -> None:
    made = wanted(
        write_recipe, recipe, {"multi_turn": {"counting": 2, "position": 1}}, multi_turn=3, conflict_positive=1
    )
    found = choose(
        made, *({"category": c} for c in ("counting", "counting", "counting", "other", "position")),
        {"kind": "conflict_positive", "category": "counting"}, {"kind": "conflict_positive", "fault": "f"},
    )  # fmt: skip
    told = quota_status(SimpleNamespace(recipe=made), found)  # type: ignore[arg-type]
    assert told[MULTI] == {
        "quota": 3, "chosen": 3, "accepted": 4, "candidates": 4, "rejected": {"over quota": 2},
        "checked_by": {"grammar": 3},
        "categories": {
            "counting": {"quota": 2, "chosen": 2, "accepted": 3}, "position": {"quota": 1, "chosen": 1, "accepted": 1},
        },
    }  # fmt: skip
    assert told["conflict_positive"] == {
        "quota": 1, "chosen": 1, "accepted": 1, "candidates": 2, "rejected": {"f": 1},
        "checked_by": {"grammar": 1},
    }  # fmt: skip
    assert told[NEGATIVE] == {"quota": 0, "chosen": 0, "accepted": 0, "candidates": 0, "rejected": {}, "checked_by": {}}
    lines = [line.split() for line in quota_lines(told)]
    assert lines[1:5] == [
        ["multi_turn", "3", "3", "4", "2", "over", "quota"],
        ["counting", "2", "2", "3"],
        ["position", "1", "1", "1"],
        ["conflict_positive", "1", "1", "1", "1", "f"],
    ]


def test_each_kind_tells_its_own_categories(recipe: dict[str, Any], write_recipe: Write) -> None:
    shares = {"multi_turn": {"counting": 1}, "conflict": {"position": 1}, "alignment": {"composition": 1}}
    made = wanted(write_recipe, recipe, shares, **dict.fromkeys(PAPER, 1))
    found = quota_status(SimpleNamespace(recipe=made), choose(made))  # type: ignore[arg-type]
    none = quota_status(SimpleNamespace(recipe=made), Selection())  # type: ignore[arg-type]
    assert none[MULTI]["categories"] == {"counting": {"quota": 1, "chosen": 0, "accepted": 0}}
    assert {kind: list(q["categories"]) for kind, q in found.items()} == {
        MULTI: ["counting"], "conflict_positive": ["position"], "conflict_negative": ["position"],
        "alignment_positive": ["composition"], "alignment_negative": ["composition"],
    }  # fmt: skip


class Made:
    """A store in which lots 0 … `done` - 1 of every stage have this ledger."""

    def __init__(self, done: int, **ledger: Any) -> None:
        self.done, self.adopted = done, False
        empty = {"entered": 0, "kept": 0, "rejected": {}, "failed": {}}
        self.ledger = {**empty, **ledger}

    def is_done(self, node: Any, lot: int) -> bool:
        return lot < self.done

    def manifest(self, node: Any, lot: int) -> dict[str, Any]:
        return {"ledger": self.ledger, "categories": {"counting": 2}, **({"adopted": {}} if self.adopted else {})}


LOTS = {"calibrated": 0, "painted": 2, "sampled": 3}


def told(recipe: Recipe | None, store: Made, lots: dict[str, int] | None = None) -> dict[str, Any]:
    nodes = {name: SimpleNamespace(stage=stage) for name, stage in STAGES.items()}
    state = {"lots": lots} if lots else {}
    run: Any = SimpleNamespace(nodes=nodes, store=store, recipe=recipe, root=Path("run"), state=lambda: state)
    return status(run, Selection())


def test_a_status_sums_the_ledgers_of_the_lots_that_are_done(recipe: dict[str, Any], write_recipe: Write) -> None:
    made = wanted(write_recipe, recipe, multi_turn=1)
    fine = {"entered": 9, "kept": 4, "rejected": {"r": 3}, "failed": {"E": 2}}
    found = told(made, Made(3, **fine), LOTS)
    numbers = {s["stage"]: s["lots"] for s in found["stages"]}
    assert numbers == stage_lots(LOTS) and (numbers["plan"], numbers["rollout"], numbers["prompts"]) == (2, 3, 3)
    plan = next(s for s in found["stages"] if s["stage"] == "plan")
    assert plan == {
        "stage": "plan", "unit": STAGES["plan"].unit, "lots": 2, "of": 2, "balanced": True, "adopted": 0, "entered": 18,
        "kept": 8,
        "rejected": {"r": 6}, "failed": {"E": 4}, "categories": {"counting": 4},
    }  # fmt: skip
    assert found["balanced"] and found["quotas"][MULTI]["quota"] == 1 and found["quarantine"] == "run/quarantine"
    lines = [line.split() for line in funnel_lines(found)]
    start = lines.index(["plan", "2", "18", "8", "6", "4", *STAGES["plan"].unit.split()])
    assert lines[start + 1 : start + 3] == [["6", "rejected:", "r"], ["4", "failed:", "E"]]
    assert ["multi_turn", "1", "0", "0"] in lines and "run/quarantine" in lines[-1]


def test_a_status_before_all_lots_are_done_tells_no_quotas(recipe: dict[str, Any], write_recipe: Write) -> None:
    made = wanted(write_recipe, recipe, multi_turn=1)
    found = told(made, Made(1, entered=4, kept=4), LOTS)
    assert found["quotas"] == {} and found["quarantine"] == "" and found["balanced"]
    lines = funnel_lines(found)
    assert any(line.split()[:2] == ["rollout", "1/3"] for line in lines)
    assert not any("quarantine" in line or "BALANCE" in line or "subset" in line for line in lines)
    nothing = told(made, Made(9))
    assert {s["of"] for s in nothing["stages"]} == {0} and nothing["quotas"]  # before the first build


def test_lots_that_were_taken_over_are_told(recipe: dict[str, Any], write_recipe: Write) -> None:
    made, store = load_recipe(write_recipe(recipe)), Made(9)
    assert not any("taken over" in line for line in funnel_lines(told(made, store, LOTS)))
    store.adopted = True
    found = told(made, store, {"calibrated": 0, "painted": 2, "sampled": 0})
    assert {s["stage"]: s["adopted"] for s in found["stages"] if s["lots"]} == dict.fromkeys(BRANCHES["painted"], 2)
    (line,) = (line for line in funnel_lines(found) if "taken over" in line)
    assert line.split(": ")[1] == ", ".join(f"2 of {stage}" for stage in BRANCHES["painted"])


def test_a_ledger_out_of_balance_is_told() -> None:
    found = told(None, Made(1, entered=4, kept=3), LOTS)
    assert not found["balanced"] and not any(s["balanced"] for s in found["stages"] if s["lots"])
    assert sum("DOES NOT BALANCE" in line for line in funnel_lines(found)) == sum(
        bool(s["lots"]) for s in found["stages"]
    )


def test_two_wrongs_are_no_balance(recipe: dict[str, Any], write_recipe: Write) -> None:
    """One lot lost a row and another made one up: their sum balances."""

    class Odd(Made):
        def manifest(self, node: Any, lot: int) -> dict[str, Any]:
            return {"ledger": {**self.ledger, "entered": 4, "kept": 3 + 2 * lot}, "categories": {}}

    found = told(load_recipe(write_recipe(recipe)), Odd(2), {"calibrated": 0, "painted": 2, "sampled": 0})
    assert not found["balanced"] and {s["balanced"] for s in found["stages"] if s["lots"]} == {False}
