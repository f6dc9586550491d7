"""What stops a build on its way: unread answers and missed canaries, by numbers worked out by hand, and in builds."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import InProcess
from rich.console import Console

from underpaint.pipeline.build import build
from underpaint.pipeline.common.errors import BuildError, UserError
from underpaint.pipeline.engine.run_folder import Run, open_run
from underpaint.pipeline.report.report import write_report
from underpaint.pipeline.selection.judge_figures import figure_lines
from underpaint.pipeline.selection.judge_watch import grouped, improbable, too_low
from underpaint.pipeline.selection.quota_status import status
from underpaint.schemas.corpus.reader import Reader
from underpaint.schemas.interval import Share

Write = Callable[[dict[str, Any]], Path]
QUIET = Console(quiet=True)


@pytest.mark.parametrize(
    ("hits", "n", "least", "so"),
    [
        (0, 5, 0.8, False),  # 0.2 ** 5 = 3.2e-4
        (0, 6, 0.8, True),  # 0.2 ** 6 = 6.4e-5
        (1, 8, 0.8, True),  # 0.2 ** 8 + 8 * 0.8 * 0.2 ** 7 = 8.4e-5
        (2, 8, 0.8, False),  # and 28 * 0.64 * 0.2 ** 6 more: 1.2e-3
        (6, 8, 0.8, False),
        (7, 8, 1.0, True),  # none may miss
        (8, 8, 1.0, False),
        (0, 500, 0.0, False),  # nothing is asked for
        (0, 0, 0.8, False),
    ],
)
def test_a_figure_is_too_low_where_chance_would_not_make_it_so(hits: int, n: int, least: float, so: bool) -> None:
    assert improbable(Share(hits, n), least) == so


def test_the_shortest_run_of_lots_at_the_end_is_named() -> None:
    good, bad = Share(4, 4), Share(0, 4)
    assert too_low([5, 6, 7], [good, good, bad], 0.8) is None  # 4 of 4 missed: 0.2 ** 4
    found = too_low([5, 6, 7, 8], [good, good, bad, bad], 0.8)
    assert found and (found.lots, found.now, found.before) == ([7, 8], Share(0, 8), Share(8, 8))
    found = too_low([5, 6, 7, 8], [good, Share(1, 4), bad, bad], 0.8)  # lot 6 was bad already, as far as can be said
    assert found and (found.lots, found.now, found.before) == ([6, 7, 8], Share(1, 12), Share(4, 4))
    slow = [Share(2, 4)] * 16  # half are right, which eight cases do not tell from 0.8
    found = too_low(range(16), slow, 0.8)
    assert found and found.lots == range(16) and found.now == Share(32, 64)


def test_a_fall_below_the_lots_before_counts_although_the_floor_is_far_away() -> None:
    shares = [Share(100, 100), Share(9, 16)]
    assert too_low([0, 1], shares, 0.5) is None
    found = too_low([0, 1], shares, 0.5, drift=True)
    assert found and found.lots == [1] and round(found.least, 3) == 0.963  # the lower end of 100 of 100


def test_changed_words_are_one_kind_a_side() -> None:
    one = {"asked": 4, "right": 3, "named": 1}
    found = grouped({"picture, colour": one, "picture, place": one, "picture, plain": one, "text, noun": one})
    assert found == {
        "picture, one word changed": Share(6, 8), "picture, plain": Share(3, 4), "text, one word changed": Share(3, 4),
    }  # fmt: skip


@pytest.fixture
def opened(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Run]:
    """Open a recipe whose judge fails; builds are done by this process."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr("underpaint.pipeline.build.pool", lambda *_: contextlib.nullcontext(InProcess()))

    def open_with(fault: str, after: int = 0, **changes: Any) -> Run:
        options = {"fault": fault, "after": after}
        recipe["models"]["stranger"] = {"kind": "python", "factory": "poison:Stranger", "options": options}
        recipe["roles"]["judge"] = "stranger"
        recipe.update(changes)
        return open_run(write_recipe(recipe), tmp_path / "run")

    return open_with


def lots(run: Run, stage: str) -> int:
    return len(run.store.done(run.nodes[stage]))


def test_where_calibration_can_tell_a_judge_without_form_costs_no_picture(opened: Callable[..., Run]) -> None:
    run = opened("prose", calibration={"cases": 8})
    with pytest.raises(BuildError) as stopped:
        build(run, QUIET)
    said = str(stopped.value)
    assert "calibration, lot 0: of 8 answers to the template critique_text 8 could not be read" in said
    assert said.count("\n  ") == 3 and "well done!" in said and "calibration.floor.unread" in said
    assert not lots(run, "prompts") and not lots(run, "draft")


def test_without_calibration_it_stops_after_its_first_lot(opened: Callable[..., Run]) -> None:
    run = opened("prose", rounds={"pilot": 4})
    with pytest.raises(BuildError) as stopped:
        build(run, QUIET)
    said = str(stopped.value)
    assert "check, lot 0: of" in said and "critique_picture" in said and said.count("\n  ") == 3
    assert run.state()["rounds"] == 1 and (lots(run, "draft"), lots(run, "check")) == (4, 1)
    again = lots(run, "check")
    with pytest.raises(BuildError, match="check, lot 0: of"):
        build(run, QUIET)  # what is known asks for no more answers
    assert lots(run, "check") == again
    (row,) = status(run)["judge"]["templates"]
    assert row["unread"] == row["asked"] and sum(row["unread_by"].values()) == row["unread"]
    build_on = opened("prose", calibration={"ship_anyway": True}, rounds={"pilot": 1, "max_rounds": 1})
    with pytest.raises(Exception, match="quotas cannot be met"):
        build(build_on, QUIET)


@pytest.mark.parametrize("fault", ["refused", "cut"])
def test_a_server_that_refuses_or_cuts_in_the_middle_is_stopped(opened: Callable[..., Run], fault: str) -> None:
    run = opened(fault, after=3, rounds={"pilot": 8})
    with pytest.raises(BuildError, match=r"check, lot [34]: of \d+ answers .* could not be read"):
        build(run, QUIET)
    assert lots(run, "check") in (4, 5)


def test_a_server_that_answers_for_another_picture_is_stopped_by_canaries(opened: Callable[..., Run]) -> None:
    run = opened("previous", after=4, rounds={"pilot": 8}, lot_size=16, stages={"check": {"canaries": 0.4}})
    with pytest.raises(BuildError) as stopped:
        build(run, QUIET)
    said = str(stopped.value)
    assert "check, lot" in said and "(picture, plain)" in said and "in the lots before" in said
    assert lots(run, "check") == 4  # those that it answered well; the others are asked again
    found = {row["kind"]: row["right"] for row in status(run)["judge"]["canaries"]}
    assert found and all(right["share"] == 1 for right in found.values())
    healed = opened("", rounds={"pilot": 8}, lot_size=16, stages={"check": {"canaries": 0.4}})
    build(healed, QUIET)


def written(opened: Callable[..., Run], task: str, words: str, **changes: Any) -> Run:
    """A recipe whose writer says these words to all requests of a task."""
    parrot = {"kind": "python", "factory": "poison:Parrot", "options": {"task": task, "words": words}}
    models = {"renderer": {"kind": "drawn", "fault_rate": 0.25}, "parrot": parrot}
    models["symbols"] = {"kind": "symbolic", "fault_rate": 0.25}
    roles = {"painter": "renderer", "writer": "parrot", "judge": "symbols", "scorer": "symbols"}
    return opened("", models=models, roles=roles, **changes)


@pytest.mark.parametrize(
    ("task", "stages"),
    [
        ("enrich_prompt", {"prompts": {"enrich": {"words": 40}}}),
        ("parse_prompt", {}),
        ("write_plan", {"plan": {"author": "writer"}}),
        ("reword_steps", {"plan": {"reword": {}}}),
    ],
)
def test_a_writer_that_refuses_costs_no_picture(
    opened: Callable[..., Run], tmp_path: Path, task: str, stages: dict[str, Any]
) -> None:
    if task == "parse_prompt":
        prompts = tmp_path / "prompts.txt"
        prompts.write_text("".join(f"It is {n} o'clock and a red car waits for a cup\n" for n in range(16)))
        stages = {"prompts": {"source": {"path": str(prompts), "reader": "writer"}}}
    run = written(opened, task, "I'm sorry, but I can't help with request {seed}.", stages=stages, lot_size=16)
    with pytest.raises(BuildError) as stopped:
        build(run, QUIET)
    said = str(stopped.value)
    stage = "plan" if task in ("write_plan", "reword_steps") else "prompts"
    assert re.search(rf"{stage}, lot 0: of (\d+) answers to the template {task} \1 could not be read", said)
    assert said.count("\n  ") == 3 and "I'm sorry" in said and "calibration.floor.unread" in said
    assert run.state()["rounds"] == 1 and not lots(run, "draft") and not lots(run, "rollout")


def test_a_writer_that_departs_from_its_graphs_is_no_unread_one(opened: Callable[..., Run]) -> None:
    words = {"stages": {"prompts": {"enrich": {"words": 40}}}, "rounds": {"pilot": 2, "max_rounds": 1}}
    run = written(opened, "enrich_prompt", "Nothing but still air.", **words)
    with pytest.raises(UserError, match="quotas cannot be met"):
        build(run, QUIET)
    (row,) = (r for r in status(run)["judge"]["templates"] if r["template"] == "enrich_prompt")
    assert row["unread"] == 0 and row["departed"] == {"drops what the scene has": row["asked"]} and row["asked"] >= 16
    assert f"      {row['asked']} read, but not true: drops what the scene has" in figure_lines(status(run)["judge"])


def test_what_was_bent_is_told_by_kind_and_travels_with_the_answer(opened: Callable[..., Run]) -> None:
    run = opened("fenced")
    build(run, QUIET)
    judge = status(run)["judge"]
    rows = {(r["stage"], r["template"]): r for r in judge["templates"]}
    for side in ("text", "picture"):
        row = rows["critique", f"critique_{side}"]
        assert row["bends"] == {"fence": row["bent"]} and row["bent"] == row["asked"] == row["answers"]
    assert f"      {row['bent']} bent to be read: {row['bent']} fence" in figure_lines(judge)
    page = write_report(run, 1).read_text()
    assert f"{row['bent']} bent to be read: {row['bent']} fence" in page
    shards = [str(f) for f in sorted((run.root / "corpus").glob("*/*.tar")) if "multi_turn" not in str(f)]
    judged = [json.loads(e.sample.extra) for e in Reader(shards, seed=None)]
    assert judged and all(extra["bends"] == ["fence"] * len(extra["answers"]) for extra in judged)


def test_a_good_judge_is_right_about_every_canary(opened: Callable[..., Run]) -> None:
    """One a question: so no truth that is told is wrong, neither by the world's pictures nor by the grammar."""
    every = {"canaries": 1.0}
    run = opened("", stages={"check": every, "critique": {"answers": 3, **every}})
    build(run, QUIET)
    judge = status(run)["judge"]
    kinds = {row["kind"] for row in judge["canaries"]}
    assert kinds >= {
        "picture, plain",
        "text, as asked",
        "picture, swapped",
        "text, swapped",
        "text, colour",
        "text, noun",
    }
    assert kinds >= {"picture, colour", "picture, noun", "picture, place", "picture, count"}
    wrong = {row["kind"]: row["right"] for row in judge["canaries"] if row["right"]["share"] != 1}
    assert not wrong
    unnamed = {row["kind"]: row["named"] for row in judge["canaries"] if row["named"] and row["named"]["share"] != 1}
    assert not unnamed
    rows = {(r["stage"], r["template"]): r for r in judge["templates"]}
    asked = rows["critique", "critique_text"]
    assert asked["equal"] == asked["repeated"] == asked["asked"] and "equal byte by byte" in asked["warning"]
    assert asked["agreement"] == asked["alpha"] == 1 and rows["check", "critique_picture"]["repeated"] == 0
    assert any("equal byte by byte" in line for line in figure_lines(judge))
    json.dumps(judge, allow_nan=False)
