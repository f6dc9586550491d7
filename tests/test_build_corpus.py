"""From the store to the shards: what samples say of their making, and which corpus the selection's file speaks of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from conftest import InProcess, make_lot, structural_recipe
from rich.console import Console

from benchmarks.staleness import edit_all, edited
from underpaint.pipeline.common.errors import BuildError
from underpaint.pipeline.corpus.assemble import Assembler, read_op
from underpaint.pipeline.corpus.build_corpus import write_shards
from underpaint.pipeline.engine.run_folder import Run, open_run
from underpaint.pipeline.engine.store import StoreError
from underpaint.pipeline.report.trace import trace
from underpaint.pipeline.selection.reference import Reference
from underpaint.pipeline.selection.select import Selection, select
from underpaint.schemas.corpus.sample import Sample
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.common.ledger import Ledger
from underpaint.stages.common.stage import Outcome

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lot of every stage, and no shards yet; the rollouts are painted by another model than the rest."""
    folder = tmp_path_factory.mktemp("made")
    recipe = structural_recipe()
    recipe["models"]["hasty"] = {"kind": "drawn", "fault_rate": 0.5}
    recipe["roles"]["sketcher"] = "hasty"

    def write(recipe: dict[str, Any]) -> Path:
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        return folder / "recipe.yaml"

    make_lot(write, recipe, folder / "run")
    (folder / "run" / "run.json").write_text(json.dumps({"recipe": recipe["name"]}))
    (folder / "run" / "build.json").write_text(json.dumps({"lots": {"painted": 1, "sampled": 1}}))
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Run:
    shutil.copytree(made, tmp_path / "own")
    return open_run(tmp_path / "own" / "recipe.yaml", tmp_path / "own" / "run")


def chosen(run: Run) -> Selection:
    return select(run.recipe, run.nodes, run.store, run.lots_done())


def the(run: Run, name: str) -> Reference:
    """The first candidate of a kind."""
    return next(r for r in chosen(run).chosen if r.name == name)


def rewrite(run: Run, stage: str, **columns: Any) -> None:
    """A stage's lot with these columns the same in every row."""
    table = run.store.table(run.nodes[stage], 0)
    for name, value in columns.items():
        at = table.schema.get_field_index(name)
        column = pa.array([value] * table.num_rows, table.schema.field(name).type)
        table = table.set_column(at, table.schema.field(name), column)
    run.store.put(run.nodes[stage], 0, Outcome(table, Ledger()))


def assembled(run: Run, name: str) -> Sample:
    return Assembler(run.recipe, run.nodes, run.store)(the(run, name))[0]


# ---- what a sample says -------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "role"), [("sibling", "hasty"), ("edit", "renderer"), ("repaint", "renderer")])
def test_a_repair_names_who_painted_it(run: Run, method: str, role: str) -> None:
    rewrite(run, "repair", method=method)
    sample = assembled(run, "alignment_negative")
    draft, repaint = sample.images
    assert (draft.origin, draft.model) == ("self_sample", "hasty")
    assert (repaint.origin, repaint.model) == ("correction", role)
    assert json.loads(repaint.params)["fault_rate"] == {"hasty": 0.5, "renderer": 0.25}[role]
    last = sample.segments[-1]
    assert (last.stage, last.model, last.revision) == ("repaint", role, repaint.revision)


@pytest.mark.parametrize(
    ("instruction", "so_far", "op"),
    [
        ("Paint a red car.", "a blank canvas", "add"),
        ("Add a cup.", "A red car.", "add"),
        ("Make the red car blue.", "A red car.", "modify"),
        ("Move the red car to the top left.", "A red car.", "modify"),
        ("Replace the red car with a cup.", "A red car.", "swap"),
        ("Remove the red car.", "A red car and a cup.", "remove"),
        ("Remove the boat.", "A red car.", ""),  # which is not there
        ("Paint .", "a blank canvas", ""),
        ("Let there be light.", "A red car.", ""),
        ("Add a cup.", "Something like a car.", ""),
    ],
)
def test_the_op_is_read_from_the_policys_words(vocabulary: Vocabulary, instruction: str, so_far: str, op: str) -> None:
    assert read_op(instruction, so_far, vocabulary) == op


@pytest.mark.parametrize(("instruction", "op"), [("Remove the red car.", "remove"), ("Let there be light.", "")])
def test_a_plan_of_the_policy_has_its_op(run: Run, instruction: str, op: str) -> None:
    so_far = "A red car and a red cup."
    rewrite(run, "rollout", instruction=instruction, so_far=so_far)
    plans = [s for s in assembled(run, "alignment_positive").segments if s.stage == "plan"]
    assert [s.op for s in plans] == [op]


def test_checkpoints_are_read_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen_ones = chosen(run).chosen
    assembler, asked = Assembler(run.recipe, run.nodes, run.store), []
    monkeypatch.setattr(type(run.recipe.models["hasty"]), "identity", lambda self: asked.append(self) or {})
    assert sum(len(assembler(r)[1]) for r in chosen_ones) > 5 and not asked


def test_a_damaged_table_reaches_no_shard(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, node = the(run, "alignment_positive"), run.nodes["rollout"]
    assembler, checked = Assembler(run.recipe, run.nodes, run.store), []
    check = type(run.store).check
    monkeypatch.setattr(type(run.store), "check", lambda *a: checked.append((a[1].name, a[2])) or check(*a))
    assembler(reference)
    for other in chosen(run).chosen:
        assembler(other)
    assert len(checked) == len(set(checked)) and ("rollout", 0) in checked
    kept = run.store.manifest(node, 0)
    rewrite(run, "rollout", description="Something else.")
    file = run.root / "lots" / node.folder / "lot-00000000.json"
    file.write_text(json.dumps(kept))  # a table that reads well and is another one
    with pytest.raises(StoreError, match="has changed since it was written"):
        Assembler(run.recipe, run.nodes, run.store)(reference)


# ---- the selection and its corpus ---------------------------------------------------------------------


def listed(run: Run) -> Iterator[dict[str, Any]]:
    return map(json.loads, (run.root / "selection.jsonl").read_text().splitlines())


def test_the_selection_is_swapped_in_with_its_corpus(run: Run) -> None:
    selection = chosen(run)
    write_shards(run, selection, QUIET, InProcess())  # type: ignore[arg-type]
    before = list(listed(run))
    assert [r["id"] for r in before] == [r.id for r in selection.chosen]
    ids = {r.id: r for r in selection.chosen if r.subset == "multi_turn"}
    first, second = list(ids.values())[:2]
    fewer = [replace(second, id=first.id), *(r for r in selection.chosen if r.id not in ids)]
    with pytest.raises(BuildError, match="killed"):
        write_shards(run, Selection(chosen=fewer), QUIET, InProcess(broken=True))  # type: ignore[arg-type]
    assert list(listed(run)) == before
    found = trace(run, first.id)
    assert found["store"][0]["rows"][0]["prompt"] == found["sample"]["prompt"]
    write_shards(run, Selection(chosen=fewer), QUIET, InProcess())  # type: ignore[arg-type]
    assert len(list(listed(run))) == len(fewer) and not list(run.root.glob(".*.part"))
    found = trace(run, first.id)
    assert found["store"][0]["rows"][0]["prompt"] == found["sample"]["prompt"]


def test_a_build_killed_between_the_two_renames_is_mended_by_the_next(run: Run) -> None:
    write_shards(run, chosen(run), QUIET, InProcess())  # type: ignore[arg-type]
    written = (run.root / "selection.jsonl").read_text()
    (run.root / "selection.jsonl").write_text("")
    write_shards(run, chosen(run), QUIET, InProcess(broken=True))  # type: ignore[arg-type]  # up to date
    assert (run.root / "selection.jsonl").read_text() == written


def test_edited_code_that_writes_shards_writes_them_anew(run: Run) -> None:
    write_shards(run, chosen(run), QUIET, InProcess())  # type: ignore[arg-type]
    for name in ("assemble", "shard", "card", "index"):
        module = f"underpaint.pipeline.corpus.{name}"
        with edited(module, edit_all(module)), pytest.raises(BuildError, match="killed"):  # so it is at work
            write_shards(run, chosen(run), QUIET, InProcess(broken=True))  # type: ignore[arg-type]
