"""The judge's side_figures counted by hand, and its floor at its edge. How cases are made is in test_calibration.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from stage_inputs import filled

from underpaint.pipeline.common.errors import BuildError
from underpaint.pipeline.recipe.recipe import Recipe, load_recipe
from underpaint.pipeline.selection.judge_gate import (
    FIGURES,
    beyond,
    calibration_lines,
    check_floor,
    read_calibration,
    shortfalls,
    side_figures,
)
from underpaint.schemas.interval import Share
from underpaint.schemas.scenes.critique import Critique, Finding, Side, Verdict
from underpaint.stages import calibration
from underpaint.stages.common.figures import AnswerCounts

Write = Callable[[dict[str, Any]], Path]


def row(fault: str, said: list[str], incomplete: bool = False) -> dict[str, Any]:
    def critique(kinds: list[str]) -> str:
        findings = tuple(Finding(kind=k, detail="so it is") for k in kinds)  # type: ignore[arg-type]
        verdict = Verdict.CONFLICT if kinds else Verdict.CONSISTENT
        correction = "Mend it." if kinds else ""
        whole = Critique(observed=(), findings=findings, verdict=verdict, analysis="Thus.", correction=correction)
        return whole.to_json()

    verdict = "conflict" if said else "consistent"
    return {
        "fault": fault, "incomplete": incomplete, "truth": critique([fault] if fault else []),
        "verdict": verdict, "critique": critique(said), "own_verdicts": [verdict, "", "conflict"],
    }  # fmt: skip


def case(side: str, fault: str, said: str, own: tuple[str, ...] = ()) -> dict[str, Any]:
    """A case with this fault ("" for none), called wrong for the kind `said` ("" for not at all)."""
    return {**row(fault, [said] if said else []), "side": side, "own_verdicts": list(own)}


class Made:
    """A store with these rows by lot (None where it is not done), and as many failures of each side."""

    def __init__(self, *lots: list[dict[str, Any]] | None, failed: tuple[str, ...] = ()) -> None:
        self.lots, self.failed = lots, failed

    def is_done(self, node: Any, lot: int) -> bool:
        return lot < len(self.lots) and self.lots[lot] is not None

    def table(self, node: Any, lot: int, columns: list[str]) -> pa.Table:
        return filled(calibration.STAGE.schema, self.lots[lot] or []).select(columns)

    def manifest(self, node: Any, lot: int) -> dict[str, Any]:
        return {"heard": {"critique_text": AnswerCounts(questions=9, answers=9, decided=9, conflicts=4).to_dict()}}

    def failures(self, node: Any, lot: int) -> list[dict[str, Any]]:
        return [{"sample": 0, "side": side} for side in self.failed]


NODES: Any = {"calibration": SimpleNamespace(name="calibration")}


def calibrated(write: Write, recipe: dict[str, Any], cases: int = 16, **settings: Any) -> Recipe:
    recipe["roles"]["renderer"] = "renderer"
    return load_recipe(write({**recipe, "calibration": {"cases": cases, **settings}}))


def test_the_figures_of_each_side_are_of_the_lots_that_are_done(recipe: dict[str, Any], write_recipe: Write) -> None:
    made = calibrated(write_recipe, recipe, cases=32)  # four lots of 8, of which two are done
    text, picture = case("text", "wrong_count", "wrong_count"), case("picture", "wrong_count", "")
    store: Any = Made([text, picture], None, [text], failed=("text", "picture", "text"))
    found = read_calibration(made, NODES, store)
    assert {side: (f.recall, f.answered, f.unanswered) for side, f in found.items()} == {
        Side.TEXT: (Share(2, 2), Share(2, 6), 4), Side.PICTURE: (Share(0, 1), Share(1, 3), 2),
    }  # fmt: skip
    only: Any = Made([text], failed=())
    assert set(read_calibration(made, NODES, only)) == {Side.TEXT}
    mute: Any = Made([], failed=("picture",))
    assert read_calibration(made, NODES, mute)[Side.PICTURE].answered == Share(0, 1)
    none = calibrated(write_recipe, recipe, cases=0)
    assert read_calibration(none, NODES, store) == {}


def test_single_answers_are_right_by_their_side_alone() -> None:
    rows = [
        case("text", "wrong_count", "wrong_count", own=("conflict", "consistent", "incomplete", "")),
        case("text", "", "", own=("conflict", "consistent", "incomplete", "")),
    ]
    found = side_figures(rows)
    assert found.own_verdicts == Share(3, 8)  # one of the first four, two of the others; "" is never right
    assert (found.precision, found.recall, found.answered) == (Share(1, 1), Share(1, 1), Share(2, 2))
    assert (found.incomplete_accepted, found.complete_accepted) == (Share(0, 0), Share(1, 1))
    assert (found.unanswered, found.aside) == (0, 0)


def test_what_is_right_is_accepted_where_it_is_not_called_wrong() -> None:
    rows = [row("", said, incomplete=True) for said in ([], [], ["wrong_count"])]
    rows += [row("", said) for said in ([], [], [], ["wrong_count"])]
    found = side_figures(rows)
    assert (found.incomplete_accepted, found.complete_accepted) == (Share(2, 3), Share(3, 4))
    assert (found.precision, found.recall) == (Share(0, 2), Share(0, 0))


def test_kinds_of_a_templates_own_are_beyond_a_scene_graph() -> None:
    assert beyond({"wrong_perspective"}) and not beyond({"wrong_perspective", "wrong_count"}) and not beyond(set())


def test_the_floor_is_reached_where_it_is_met_exactly(recipe: dict[str, Any], write_recipe: Write) -> None:
    made = calibrated(write_recipe, recipe, floor={"text": {"recall": 0.5}})
    three = [case("text", "wrong_count", kind) for kind in ("wrong_count", "", "")]
    assert shortfalls(made, {Side.TEXT: side_figures(three[:2])}) == []
    (short,) = shortfalls(made, {Side.TEXT: side_figures(three)})
    assert short == (
        "conflict: the judge's recall on the text side is 0.33 (0.06–0.79) of 3, the recipe asks for 0.50"
        " (field calibration.floor.text.recall)"
    )
    (none,) = shortfalls(made, {})
    assert "is no cases, the recipe asks" in none


def test_where_nothing_could_be_read_that_is_said(recipe: dict[str, Any], write_recipe: Write) -> None:
    made = calibrated(write_recipe, recipe, floor={"text": {"precision": 0.5, "recall": 0.5}})
    (short,) = shortfalls(made, {Side.TEXT: side_figures([], unanswered=16)})
    assert short == "conflict: none of the 16 cases on the text side got an answer that counts"


def test_under_the_floor_nothing_ships_unless_told(recipe: dict[str, Any], write_recipe: Write) -> None:
    floor = {"text": {"recall": 0.5}}
    made = calibrated(write_recipe, recipe, floor=floor)
    good: Any = Made([case("text", "wrong_count", "wrong_count")])
    bad: Any = Made([case("text", "wrong_count", "")])
    check_floor(made, NODES, good)
    with pytest.raises(BuildError, match=r"recall on the text side is 0\.00") as stopped:
        check_floor(made, NODES, bad)
    assert "calibration, critique_text" in str(stopped.value)  # which template it was, and its figures
    check_floor(made, NODES, bad, ship_anyway=True)
    check_floor(calibrated(write_recipe, recipe, floor=floor, ship_anyway=True), NODES, bad)


def test_the_figures_as_text() -> None:
    rows = [case("text", "wrong_count", "wrong_count"), case("text", "", "")]
    one = "1.00 (0.21–1.00) of 1"
    lines = [line.split() for line in calibration_lines({Side.TEXT: side_figures(rows, unanswered=2)}) if line]
    assert [" ".join(line) for line in lines] == [
        "the judge on the text side (95% intervals)",
        f"precision {one}",
        f"recall {one}",
        "incomplete accepted no cases",
        f"complete accepted {one}",
        "own verdicts no cases",
        "answered 0.50 (0.15–0.85) of 4",
        "without a usable answer 2 cases",
        "fault called wrong named rightly named",
        f"wrong count {one} {one} {one}",
    ]
    quiet = calibration_lines({Side.TEXT: side_figures(rows)})
    assert not any("usable" in line or "put aside" in line for line in quiet)


def test_the_figures_count_what_they_say() -> None:
    rows = [
        row("wrong_count", ["wrong_count"]),
        row("wrong_count", ["wrong_attribute"]),
        row("wrong_count", []),
        row("wrong_attribute", ["wrong_attribute"]),
        row("", ["wrong_count"], incomplete=True),
        row("", [], incomplete=True),
        row("", []),
    ]
    found = side_figures(rows, unanswered=2)
    assert (found.precision, found.recall) == (Share(3, 4), Share(3, 4))
    assert (found.incomplete_accepted, found.complete_accepted) == (Share(1, 2), Share(1, 1))
    count, attribute = found.kinds["wrong_count"], found.kinds["wrong_attribute"]
    assert (count.caught, count.recall, count.precision) == (Share(2, 3), Share(1, 3), Share(1, 2))
    assert (attribute.caught, attribute.recall, attribute.precision) == (Share(1, 1), Share(1, 1), Share(1, 2))
    assert found.own_verdicts == Share(5 + 4, 21) and found.unanswered == 2
    assert found.answered == Share(7, 9) and found.to_dict()["answered"]["n"] == 9
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_no_scene_graph_knows_is_put_aside() -> None:
    rows = [row("", ["wrong_perspective"]), row("wrong_count", ["wrong_count", "wrong_perspective"]), row("", [])]
    found = side_figures(rows)
    assert (found.precision, found.complete_accepted, found.aside) == (Share(1, 1), Share(1, 1), 1)
    assert any("put aside" in line for line in calibration_lines({Side.PICTURE: found}))


def test_a_floor_counts_for_the_subsets_that_are_asked_for(recipe: dict[str, Any], write_recipe: Write) -> None:
    floor = {"text": {"recall": 0.9}, "picture": {"recall": 0.9, "precision": 0.2}}
    found = {side: side_figures([row("wrong_count", []), row("", ["wrong_count"])]) for side in Side}
    short = shortfalls(calibrated(write_recipe, recipe, floor=floor), found)
    assert [s.split(":")[0] for s in short] == ["conflict", *["multi_turn and alignment"] * 2]
    assert "recall on the text side is 0.00 (0.00–0.79) of 1, the recipe asks for 0.90" in short[0]
    none = dict.fromkeys(("conflict_positive", "conflict_negative", "alignment_positive", "alignment_negative"), 0)
    only = calibrated(write_recipe, {**recipe, "quotas": {"multi_turn": 5, **none}}, floor=floor)
    assert [s.split(":")[0] for s in shortfalls(only, found)] == ["multi_turn"] * 2
    one = {"multi_turn": 5, **none, "conflict_negative": 3}  # one kind of a subset is enough
    half = calibrated(write_recipe, {**recipe, "quotas": one}, floor=floor)
    assert [s.split(":")[0] for s in shortfalls(half, found)] == ["conflict", *["multi_turn"] * 2]


def test_a_judge_that_hardly_answers_does_not_pass(recipe: dict[str, Any], write_recipe: Write) -> None:
    floor = {"text": {"precision": 0.9, "recall": 0.9, "answered": 0.95, "own_verdicts": 0.9}}
    rows = [row("wrong_count", ["wrong_count"]) | {"own_verdicts": ["conflict"]} for _ in range(5)]
    made = calibrated(write_recipe, recipe, floor=floor)
    assert not shortfalls(made, {Side.TEXT: side_figures(rows)})
    found = {Side.TEXT: side_figures(rows, unanswered=195)}
    (short,) = shortfalls(made, found)
    assert "share of cases with an answer that counts on the text side is 0.03" in short
    assert short.endswith("the recipe asks for 0.95 (field calibration.floor.text.answered)")
    assert any(line.split()[:2] == ["answered", "0.03"] for line in calibration_lines(found))
    assert "answered" in FIGURES
    wrong = [r | {"own_verdicts": ["consistent"]} for r in rows]
    (short,) = shortfalls(made, {Side.TEXT: side_figures(wrong)})
    assert "share of right single answers on the text side is 0.00" in short
