"""The judge's floor at its edge, on figures made up by hand. What the figures count is in test_calibration.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from stage_inputs import critique, filled

from underpaint.pipeline.errors import BuildError
from underpaint.pipeline.recipe.recipe import Recipe, load_recipe
from underpaint.pipeline.selection.judge_gate import (
    beyond,
    calibration_lines,
    check_floor,
    figures,
    read_calibration,
    shortfalls,
)
from underpaint.schemas import tables
from underpaint.schemas.interval import Share
from underpaint.schemas.scenes.critique import Side

Write = Callable[[dict[str, Any]], Path]


def case(side: str, fault: str, said: str, incomplete: bool = False, own: tuple[str, ...] = ()) -> dict[str, Any]:
    """A case with this fault ("" for none), called wrong for the kind `said` ("" for not at all)."""

    def words(kind: str) -> str:
        return critique("conflict", kind) if kind else critique()

    verdict = "conflict" if said else "consistent"
    return {
        "side": side, "fault": fault, "incomplete": incomplete, "truth": words(fault), "verdict": verdict,
        "critique": words(said), "own_verdicts": list(own),
    }  # fmt: skip


class Made:
    """A store with these rows by lot, and as many failures of each side."""

    def __init__(self, *lots: list[dict[str, Any]], failed: tuple[str, ...] = ()) -> None:
        self.lots, self.failed = lots, failed

    def is_done(self, node: Any, lot: int) -> bool:
        return lot < len(self.lots)

    def table(self, node: Any, lot: int, columns: list[str]) -> pa.Table:
        return filled(tables.CALIBRATION, self.lots[lot]).select(columns)

    def failures(self, node: Any, lot: int) -> list[dict[str, Any]]:
        return [{"sample": 0, "side": side, "unit": f"sample 0, {side} side"} for side in self.failed]


NODES: Any = {"calibration": None}


def calibrated(write: Write, recipe: dict[str, Any], cases: int = 16, **settings: Any) -> Recipe:
    recipe["roles"]["renderer"] = "renderer"
    return load_recipe(write({**recipe, "calibration": {"cases": cases, **settings}}))


def test_the_figures_of_each_side_are_of_the_lots_that_are_done(recipe: dict[str, Any], write_recipe: Write) -> None:
    made = calibrated(write_recipe, recipe, cases=24)  # three lots of 8, of which two are done
    text, picture = case("text", "wrong_count", "wrong_count"), case("picture", "wrong_count", "")
    store: Any = Made([text, picture], [text], failed=("text", "picture", "text"))
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
    found = figures(rows)
    assert found.own_verdicts == Share(3, 8)  # one of the first four, two of the others; "" is never right
    assert (found.precision, found.recall, found.answered) == (Share(1, 1), Share(1, 1), Share(2, 2))
    assert (found.incomplete_accepted, found.complete_accepted) == (Share(0, 0), Share(1, 1))
    assert (found.unanswered, found.aside) == (0, 0)


def test_kinds_of_a_templates_own_are_beyond_a_scene_graph() -> None:
    assert beyond({"wrong_perspective"}) and not beyond({"wrong_perspective", "wrong_count"}) and not beyond(set())


def test_the_floor_is_reached_where_it_is_met_exactly(recipe: dict[str, Any], write_recipe: Write) -> None:
    made = calibrated(write_recipe, recipe, floor={"text": {"recall": 0.5}})
    three = [case("text", "wrong_count", kind) for kind in ("wrong_count", "", "")]
    assert shortfalls(made, {Side.TEXT: figures(three[:2])}) == []
    (short,) = shortfalls(made, {Side.TEXT: figures(three)})
    assert short == (
        "conflict: the judge's recall on the text side is 0.33 (0.06–0.79) of 3, the recipe asks for 0.50"
        " (field calibration.floor.text.recall)"
    )
    (none,) = shortfalls(made, {})
    assert "is no cases, the recipe asks" in none


def test_under_the_floor_nothing_ships_unless_told(recipe: dict[str, Any], write_recipe: Write) -> None:
    floor = {"text": {"recall": 0.5}}
    made = calibrated(write_recipe, recipe, floor=floor)
    good: Any = Made([case("text", "wrong_count", "wrong_count")])
    bad: Any = Made([case("text", "wrong_count", "")])
    check_floor(made, NODES, good)
    with pytest.raises(BuildError, match=r"recall on the text side is 0\.00"):
        check_floor(made, NODES, bad)
    check_floor(made, NODES, bad, ship_anyway=True)
    check_floor(calibrated(write_recipe, recipe, floor=floor, ship_anyway=True), NODES, bad)


def test_the_figures_as_text() -> None:
    rows = [case("text", "wrong_count", "wrong_count"), case("text", "", "")]
    lines = [line.split() for line in calibration_lines({Side.TEXT: figures(rows, unanswered=2)})]
    assert lines[1][:6] == ["the", "judge", "on", "the", "text", "side"]
    assert ["without", "a", "usable", "answer", "2", "cases"] in lines
    assert ["wrong", "count", *["1.00", "(0.21–1.00)", "of", "1"] * 3] in lines
    quiet = calibration_lines({Side.TEXT: figures(rows)})
    assert not any("usable" in line or "put aside" in line for line in quiet)
