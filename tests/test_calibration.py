"""The judge against known truth: the cases, the figures, the floor under which nothing ships."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import InProcess, make_lot
from rich.console import Console
from typer.testing import CliRunner

from underpaint.pipeline.build import build, calibrate
from underpaint.pipeline.cli.main import app
from underpaint.pipeline.common.errors import BuildError, UserError
from underpaint.pipeline.corpus.assemble import config_sha256
from underpaint.pipeline.corpus.verify import verify
from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.engine.run_folder import open_run
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.pipeline.report.report import write_report
from underpaint.pipeline.selection.judge_gate import read_calibration, shortfalls
from underpaint.schemas.interval import Share
from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.critique import Side, Verdict
from underpaint.schemas.scenes.grammar import read
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.all_stages import STAGES
from underpaint.stages.calibration import make_case, possible
from underpaint.stages.common.ledger import balances
from underpaint.stages.models.drawn import DrawnPainter
from underpaint.stages.planning import planted_faults as faults

Write = Callable[[dict[str, Any]], Path]


def calibrated(recipe: dict[str, Any], **settings: Any) -> dict[str, Any]:
    recipe["roles"]["renderer"] = "renderer"
    recipe["calibration"] = {"cases": recipe["lot_size"], **settings}
    return recipe


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("fault", [None, *FaultKind])
def test_a_case_is_what_it_says(vocabulary: Vocabulary, side: Side, fault: FaultKind | None) -> None:
    planters = faults.TEXT if side is Side.TEXT else faults.PICTURE
    if fault is not None and fault not in planters:
        assert fault in (FaultKind.MISSING_OBJECT, FaultKind.MISSING_DETAIL)  # not painted yet is no fault of a text
        return
    world = DrawnPainter("underpaint.miniature.world")
    for seed in range(12):
        case = make_case(side, fault, random.Random(f"{fault}/{seed}"), vocabulary, 4, world)
        assert case is not None and (case.picture is None) == (side is Side.TEXT)
        assert (case.truth.verdict is Verdict.CONFLICT) == (fault is not None)
        assert fault is None or fault in {f.kind for f in case.truth.findings}
        described, prompt = (len(read(case.variables[k], vocabulary).objects) for k in ("description", "prompt"))
        assert case.incomplete == (described < prompt)
        if side is Side.TEXT and fault is None:
            assert (case.truth.verdict is Verdict.INCOMPLETE) == case.incomplete


def test_only_what_the_words_allow_is_planted() -> None:
    poor = Vocabulary(nouns={"dog": "dogs", "cat": "cats"}, attributes={})
    assert possible(faults.TEXT, poor) == [FaultKind.WRONG_COUNT, FaultKind.WRONG_RELATION, FaultKind.UNWANTED_OBJECT]
    assert make_case(Side.TEXT, FaultKind.WRONG_ATTRIBUTE, random.Random(1), poor, 4) is None


def test_an_interval_is_wilson_s() -> None:
    low, high = Share(8, 10).interval
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert Share(0, 0).interval == (0.0, 1.0) and str(Share(0, 0)) == "no cases"
    assert Share(20, 20).interval[1] == pytest.approx(1.0) and Share(0, 20).interval[0] == pytest.approx(0.0)


def test_a_judge_that_knows_the_truth_is_found_to(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    recipe["lot_size"] = 48
    loaded, nodes, store = make_lot(write_recipe, calibrated(recipe), tmp_path / "run")
    assert balances(store.manifest(nodes["calibration"], 0)["ledger"])
    found = read_calibration(loaded, nodes, store)
    assert set(found) == set(Side)
    for side, planters in ((Side.TEXT, faults.TEXT), (Side.PICTURE, faults.PICTURE)):
        f = found[side]
        assert f.precision == f.recall == Share(24, 24) and f.own_verdicts == Share(48, 48)
        assert f.incomplete_accepted.value == f.complete_accepted.value == 1.0
        assert f.incomplete_accepted.n > f.complete_accepted.n > 0
        assert set(f.kinds) >= set(planters) and all(k.recall.value == 1.0 for k in f.kinds.values())


def test_without_a_renderer_only_texts_are_judged(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    recipe["calibration"] = {"cases": 8}
    loaded, nodes, store = make_lot(write_recipe, recipe, tmp_path / "run")
    assert set(read_calibration(loaded, nodes, store)) == {Side.TEXT}


@pytest.mark.parametrize(
    ("calibration", "said"),
    [
        ({"floor": {"text": {"recall": 0.5}}}, "a floor needs cases to be measured on"),
        ({"cases": 8, "floor": {"picture": {"recall": 0.5}}}, "field calibration.floor.picture: no renderer"),
        ({"cases": 8, "floor": {"text": {"recal": 0.5}}}, "did you mean 'recall'?"),
    ],
)
def test_a_floor_that_cannot_be_measured_is_refused(
    recipe: dict[str, Any], write_recipe: Write, calibration: dict[str, Any], said: str
) -> None:
    recipe["calibration"] = calibration
    with pytest.raises(UserError) as refused:
        load_recipe(write_recipe(recipe))
    assert said in str(refused.value)


def test_the_judge_is_calibrated_as_it_is_asked(recipe: dict[str, Any], write_recipe: Write) -> None:
    recipe["stages"] = {"critique": {"answers": 5, "temperature": 0.9}, "calibration": {"temperature": 0.1}}
    loaded = load_recipe(write_recipe(calibrated(recipe)))
    params = loaded.params(STAGES["calibration"])
    assert (params.answers, params.temperature) == (5, 0.1)
    before = build_graph(loaded)
    recipe["stages"]["critique"]["answers"] = 3
    after = build_graph(load_recipe(write_recipe(recipe)))
    assert before["calibration"].fingerprint != after["calibration"].fingerprint
    recipe["stages"]["calibration"]["capacity"] = 3
    other = load_recipe(write_recipe(recipe))
    assert config_sha256(other, after) == config_sha256(other, build_graph(other))  # no sample comes from it


def test_a_judge_under_the_floor_ships_only_when_told(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr("underpaint.pipeline.build.pool", lambda *_: contextlib.nullcontext(InProcess()))
    recipe["models"]["wavering"] = {"kind": "python", "factory": "poison:Wavering"}
    recipe["roles"]["judge"] = "wavering"
    recipe["lot_size"] = 32
    calibrated(recipe, floor={"text": {"recall": 1.0}, "picture": {"precision": 0.9}})
    run, quiet = open_run(write_recipe(recipe), tmp_path / "run"), Console(quiet=True)
    with pytest.raises(BuildError, match=r"conflict: the judge's recall on the text side is 0\.") as refused:
        build(run, quiet)
    assert "precision" not in str(refused.value) and "--ship-anyway" in str(refused.value)
    assert not list(run.root.glob("lots/prompts-*")) and not run.corpus.exists()  # before anything else was made
    assert len(shortfalls(run.recipe, calibrate(run, quiet))) == 1
    build(run, quiet, ship_anyway=True)
    card = " ".join((run.corpus / "README.md").read_text().split())
    assert "Shipped under its own floor: conflict: the judge's recall" in card
    assert not verify(run.corpus).problems
    refused_too = CliRunner().invoke(app, ["select", str(write_recipe(recipe)), "--out", str(run.root)])
    assert isinstance(refused_too.exception, BuildError) and "recall on the text side" in str(refused_too.exception)
    write_report(run, 2)
    page = (run.root / "report.html").read_text()
    assert "The judge against known truth" in page and "floor, shipped all the same: conflict" in page


def test_calibration_has_first_steps_of_every_sort(vocabulary: Vocabulary) -> None:
    """A blank canvas, several objects at once, and pictures that are added to."""
    made = [make_case(Side.TEXT, None, random.Random(seed), vocabulary, 4) for seed in range(120)]
    blank = [case for case in made if case and case.variables["so_far"] == "a blank canvas"]
    assert 5 < len(blank) < 100
    assert any(" and a" in case.variables["instruction"] for case in blank)


def test_a_case_has_the_picture_before_its_step(vocabulary: Vocabulary) -> None:
    """For templates that show it: what it holds is what the words so far say; the blank canvas is no picture."""
    world, before = DrawnPainter("underpaint.miniature.world"), 0
    for seed in range(30):
        case = make_case(Side.PICTURE, None, random.Random(seed), vocabulary, 4, world)
        assert case is not None and (case.before is None) == (case.variables["so_far"] == "a blank canvas")
        if case.before is not None:
            seen, background = world.read(case.before)
            told = read(case.variables["so_far"], vocabulary)
            assert background == told.background and len(seen) == sum(o.count for o in told.objects)
            before += 1
    assert before > 10
