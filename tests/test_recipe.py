"""Bad input is refused before anything loads: the message names file and field, the exit code is 2."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ROOT, underpaint

from underpaint.pipeline.common.errors import UserError, disk_full
from underpaint.pipeline.corpus.assemble import model_names
from underpaint.pipeline.corpus.card_facts import model_notes
from underpaint.pipeline.engine.run_folder import bytes_wanted, check_room, claim, mark_run, open_run
from underpaint.pipeline.engine.what_changed import explain_plan
from underpaint.pipeline.recipe.quotas import PAPER, shard_numbers
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.stages.models.kinds import DiffusersConfig, OpenClipConfig
from underpaint.stages.plan import PlanParams
from underpaint.stages.prompts import PromptParams

Write = Callable[[dict[str, Any]], Path]


def change(recipe: dict[str, Any], path: str, value: Any) -> None:
    *folders, last = path.split(".")
    for part in folders:
        recipe = recipe.setdefault(part, {})
    recipe[last] = value


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("stages.critique.answrs", 3, "unknown field stages.critique.answrs; did you mean 'answers'?"),
        ("sead", 3, "unknown field sead; did you mean 'seed'?"),
        ("models.renderer.kind", "diffuser", "unknown model kind 'diffuser'; did you mean 'diffusers'?"),
        ("models.renderer.fault_rat", 0.1, "unknown field models.renderer.fault_rat; did you mean 'fault_rate'?"),
        ("roles.painter", "rendrer", "no model 'rendrer' in models; did you mean 'renderer'?"),
        ("roles.painter", "symbols", "field roles.painter: model 'symbols' can only be writer, judge, scorer"),
        ("stages.critique.answers", 2, "field stages.critique.answers: 2 answers can be divided evenly"),
        ("seed", "x", "field seed:"),
        ("quotas", {"multi_turn": 3}, "conflict_positive is missing; give total, or all of"),
        ("quotas", {"total": 10, "multi_turn": 3}, "not both total and multi_turn"),
        ("quotas.categories", {"multi_trn": {"counting": 1}}, "field quotas.categories.multi_trn"),
        ("quotas.categories", {"conflict": {"counting": -1}}, "field quotas.categories.conflict.counting"),
        ("quotas.categories", {"conflict": {"couting": 1}}, "couting is no category; did you mean 'counting'?"),
        ("select.min_margin", {"quantil": 0.1}, "unknown field select.min_margin.quantil"),
        ("select.min_margin", 7, "field select.min_margin: "),
        ("select.min_margin", {"quantile": 1.5}, "field select.min_margin.quantile: "),
        ("decontaminate.lists", ["nowhere.jsonl"], "field decontaminate.lists: "),
        ("vocabulary", "nowhere.yaml", "nowhere.yaml is no file"),
        ("vocabulary", "recipe.yaml", "recipe.yaml: field nouns: Field required"),
        ("roles", ["renderer"], "field roles: should be a mapping of fields, is a list"),
        ("models.renderer.world", "json", "field models.renderer: the module 'json' has no vocabulary"),
        ("stages.prompts.shares", {"animals": 1.0}, "unknown category 'animals'"),
        (
            "models.renderer", {"kind": "diffusers", "checkpoint": "./nowhere"},
            "nowhere does not exist",
        ),
        (
            "models.renderer", {"kind": "diffusers", "checkpoint": "black-forest-labs/FLUX.1-Kontext-dev"},
            "needs a revision",
        ),
        ("models.renderer", {"kind": "python", "factory": "nowhere:Painter"}, "cannot be imported"),
        ("models.renderer", {"kind": "diffusers", "checkpoint": "./cut"}, "cut holds no model_index.json"),
        ("models.symbols", {"kind": "transformers", "checkpoint": "./cut"}, "safetensors is damaged or cut short"),
    ],
)  # fmt: skip
def test_a_wrong_recipe_is_refused(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, path: str, value: Any, said: str
) -> None:
    (tmp_path / "cut").mkdir()  # a download that broke off
    (tmp_path / "cut" / "config.json").write_text("{}")
    (tmp_path / "cut" / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    change(recipe, path, value)
    file = write_recipe(recipe)
    with pytest.raises(UserError) as refused:
        load_recipe(file)
    assert said in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("Prompt: {{ promt }}", "undefined variable 'promt'; did you mean 'prompt'? (a critique_text template has"),
        ("Prompt: {{ prompt", "unexpected end of template"),
    ],
)
def test_a_wrong_template_is_refused(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, body: str, said: str
) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    front = (ROOT / "stages" / "templates" / "critique_text.md.j2").read_text().split("---\n")[1]
    (folder / "mine.j2").write_text(f"---\n{front}---\n{body}\n")
    recipe["templates"] = [str(folder)]
    with pytest.raises(UserError, match=r"mine\.j2") as refused:
        load_recipe(write_recipe(recipe))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nseed: 1\nname: b\n", "line 3: 'name' is given twice"),
        ("name: [", "no valid YAML: line 1"),
        ("- a", "a recipe is a mapping of fields, this is a list"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(UserError) as refused:
        load_recipe(tmp_path / "recipe.yaml")
    assert said in str(refused.value)
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        load_recipe(tmp_path)


def test_a_model_of_openclip_needs_its_tag() -> None:
    assert "needs `pretrained`" in OpenClipConfig(kind="open_clip", checkpoint="ViT-B-32").missing()


COMMIT = "af58063aa431f4d2bbc11ae46f57451d4416a170"


@pytest.mark.parametrize(
    ("checkpoint", "revision", "said"),
    [
        ("hf-hub:org/clip", None, "needs a revision"),
        ("hf-hub:org/clip", "main", "'main' of the hub checkpoint 'hf-hub:org/clip' is no commit"),
        ("hf-hub:org/clip", COMMIT, ""),
        ("org/brush", "main", "give its 40 hex digits"),
        ("org/brush", COMMIT[:12], "is no commit"),
        ("org/brush", COMMIT, ""),
    ],
)
def test_a_model_of_the_hub_is_pinned_by_its_commit(checkpoint: str, revision: str | None, said: str) -> None:
    kind = ("open_clip", OpenClipConfig) if checkpoint.startswith("hf-hub:") else ("diffusers", DiffusersConfig)
    why = kind[1](kind=kind[0], checkpoint=checkpoint, revision=revision).missing()
    assert said in why and bool(why) == bool(said)


def test_openclip_loads_a_model_of_the_hub_at_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def fetch(name: str, revision: str, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        return "/nowhere/snapshot"

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    with pytest.raises(FileNotFoundError, match="/nowhere/snapshot"):
        OpenClipConfig(kind="open_clip", checkpoint="hf-hub:org/clip", revision=COMMIT).load()
    assert asked == [("org/clip", COMMIT)]


def test_the_order_in_which_weights_are_written_does_not_matter() -> None:
    """A draw goes through them in their order, and they are one in the fingerprint."""
    one, other = ({"counting": 1.0, "composition": 2.0}, {"composition": 2.0, "counting": 1.0})
    assert list(PromptParams(shares=one).shares) == list(PromptParams(shares=other).shares)
    written = PlanParams.model_validate({"detours": {"swap": 1, "remove": 1, "modify": 1}})
    assert list(PlanParams().detours) == list(written.detours)  # as the default, which is not written


def test_paths_are_relative_to_the_recipe(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    shutil.copy(recipe["vocabulary"], tmp_path / "words.yaml")
    loaded = load_recipe(write_recipe({**recipe, "vocabulary": "words.yaml"}))
    assert loaded.vocabulary == str(tmp_path / "words.yaml")


def test_the_command_line_says_it_without_a_traceback(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    recipe["sead"] = recipe.pop("seed")
    done = underpaint("build", write_recipe(recipe), "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "did you mean 'seed'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_the_folder_of_another_recipe_is_refused(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    out = tmp_path / "run"
    mark_run(open_run(write_recipe(recipe), out))
    recipe["name"] = "other"
    with pytest.raises(UserError, match="holds a run of the recipe 'tiny', not 'other'"):
        open_run(write_recipe(recipe), out)
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "file").write_text("mine")
    with pytest.raises(UserError, match="holds no run of underpaint"):
        open_run(write_recipe(recipe), tmp_path / "strange")


def test_a_folder_has_one_build_at_a_time(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    run = open_run(write_recipe(recipe), tmp_path / "run")
    with claim(run), pytest.raises(UserError, match="another build is at work there"), claim(run):
        pass
    with claim(run):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is no folder"):
        open_run(write_recipe(recipe), tmp_path / "file")


def test_a_disk_without_room_is_said(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    run = open_run(write_recipe(recipe), tmp_path / "run")
    with pytest.raises(UserError, match=r"the disk has 0\.00 GiB free"), claim(run):
        pass
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "free some room and build again" in str(disk_full(tmp_path, full))
    assert disk_full(tmp_path, OSError(errno.EIO, "broken")) is None


def test_what_is_stored_needs_no_room_again_and_only_a_build_asks_for_any(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run(write_recipe(recipe), tmp_path / "run")
    mark_run(run)
    wanted = bytes_wanted(run.recipe)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=wanted - 10**6))
    former = run.root / "lots" / "draft-0123456789abcdef" / "lot-00000000.parquet"
    former.parent.mkdir(parents=True)
    former.write_bytes(bytes(2 * 10**6))
    with pytest.raises(UserError, match="the disk has"):
        check_room(run)
    with claim(run, building=False):  # `gc --delete` is how room is made
        pass
    lot = run.root / "lots" / run.nodes["draft"].folder / "lot-00000000.parquet"
    lot.parent.mkdir(parents=True)
    lot.write_bytes(bytes(10**6))
    with claim(run):
        pass


# All but the one whose policy has to be trained first (tests/test_writer.py).
OURS = sorted(set((ROOT / "recipes").glob("*.yaml")) - {ROOT / "recipes" / "self_sampling.yaml"})


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.stem)
def test_every_recipe_of_ours_loads_and_can_be_planned(file: Path, tmp_path: Path) -> None:
    run = open_run(file, tmp_path / "run")
    assert run.recipe.name == file.stem
    assert all(s["because"] == [] for s in explain_plan(run))


def test_the_full_recipe_has_the_papers_numbers() -> None:
    recipe = load_recipe(ROOT / "recipes" / "flux_kontext_62k.yaml")
    assert recipe.quotas.numbers() == PAPER
    assert shard_numbers(PAPER, recipe.shards.model_dump(exclude_none=True)) == shard_numbers(PAPER, {})


def test_a_licence_is_for_the_card_and_recomputes_nothing(recipe: dict[str, Any], write_recipe: Write) -> None:
    before = load_recipe(write_recipe(recipe))
    recipe["license"] = "cc-by-4.0"
    recipe["models"]["renderer"]["license"] = "apache-2.0"
    after = load_recipe(write_recipe(recipe))
    assert after.license == "cc-by-4.0" and before.license == "other"
    assert after.models["renderer"].identity() == before.models["renderer"].identity()
    notes = {note.name: note.license for note in model_notes(after, model_names(after))}
    assert notes == {"renderer": "apache-2.0", "symbols": ""}
