"""The store and the fingerprints: what counts as done, and what makes it stale."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from underpaint.pipeline.common.atomic import atomic_write
from underpaint.pipeline.engine.graph import build_graph, canonical
from underpaint.pipeline.engine.store import Store, StoreError
from underpaint.pipeline.engine.worker import CodeChanged, stage_worker
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.stages.common import code_digest as code
from underpaint.stages.common.ledger import Ledger
from underpaint.stages.common.stage import Outcome, outcome
from underpaint.stages.models.checkpoint import folder_digest
from underpaint.stages.models.kinds import DrawnConfig
from underpaint.stages.prompts import PromptRow

Write = Callable[[dict[str, Any]], Path]


def prompts(n: int) -> Outcome:
    ledger = Ledger()
    ledger.enter(n)
    ledger.keep(n)
    whole = {"category": "c", "prompt": "p", "scene": "{}", "short": "p", "origin": "composed", "templates": []}
    whole |= {"indirect": False, "understood": ""}
    rows = [{"sample": i, **whole, "indirect": False} for i in range(n)]
    return outcome(PromptRow, rows, ledger)


def test_a_lot_is_done_when_its_manifest_is_there(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    node, store = build_graph(load_recipe(write_recipe(recipe)))["prompts"], Store(tmp_path)
    assert not store.is_done(node, 3)
    store.put(node, 3, prompts(40))
    assert store.done(node) == [3]
    assert store.table(node, 3).num_rows == 40
    assert store.table(node, 3, ["sample"], [7, 39])["sample"].to_pylist() == [7, 39]
    (tmp_path / "lots" / node.folder / "lot-00000003.json").unlink()
    assert not store.is_done(node, 3)  # the table alone is a writer that was killed
    with pytest.raises(StoreError, match="not done"):
        store.table(node, 3)


def test_a_changed_table_is_noticed(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    node, store = build_graph(load_recipe(write_recipe(recipe)))["prompts"], Store(tmp_path)
    store.put(node, 0, prompts(4))
    store.check(node, 0)
    file = tmp_path / "lots" / node.folder / "lot-00000000.parquet"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(StoreError, match="has changed"):
        store.check(node, 0)


def test_equal_tables_are_equal_bytes(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    node = build_graph(load_recipe(write_recipe(recipe)))["prompts"]
    first, second = Store(tmp_path / "a"), Store(tmp_path / "b")
    assert first.put(node, 0, prompts(40)) == second.put(node, 0, prompts(40))


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic_write(tmp_path / "x" / "file", b"data")
    assert list((tmp_path / "x").iterdir()) == []


REPAIRED = {"repair", "alignment", "score_alignment", "candidates_sampled"}


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({"run": {"workers": 7}}, set()),
        ({"select": {"min_agreement": 0.9}}, set()),
        ({"stages": {"critique": {"answers": 3}}}, {"calibration", "critique", "conflict", *REPAIRED}),
        ({"stages": {"critique": {"answers": 1}, "repair": {"edits": 1}}}, REPAIRED),
        (
            {"stages": {"critique": {"answers": 1}, "plan": {"detour_share": 0.1}}},
            {"plan", "draft", "check", "score_drafts", "candidates_painted"},
        ),
    ],
)
def test_a_change_makes_stale_what_depends_on_it(
    recipe: dict[str, Any], write_recipe: Write, change: dict[str, Any], stale: set[str]
) -> None:
    before = build_graph(load_recipe(write_recipe(recipe)))
    after = build_graph(load_recipe(write_recipe({**recipe, **change})))
    assert {n for n in before if before[n].fingerprint != after[n].fingerprint} == stale


def test_the_seed_makes_everything_stale(recipe: dict[str, Any], write_recipe: Write) -> None:
    before = build_graph(load_recipe(write_recipe(recipe)))
    after = build_graph(load_recipe(write_recipe({**recipe, "seed": 4})))
    assert all(before[n].fingerprint != after[n].fingerprint for n in before)


def test_other_words_first_are_another_vocabulary(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    """Scenes are drawn by going through the words in their order."""
    words = yaml.safe_load(Path(recipe["vocabulary"]).read_text())
    before = build_graph(load_recipe(write_recipe(recipe)))
    recipe["vocabulary"] = str(tmp_path / "words.yaml")
    for nouns, same in ((list(words["nouns"].items()), True), (list(words["nouns"].items())[::-1], False)):
        (tmp_path / "words.yaml").write_text(yaml.safe_dump({**words, "nouns": dict(nouns)}, sort_keys=False))
        after = build_graph(load_recipe(write_recipe(recipe)))
        assert all((before[n].fingerprint == after[n].fingerprint) == same for n in before)


def test_a_worker_notices_code_that_changes_while_the_build_runs(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model's code is imported when its stage begins, maybe hours after the actor's first digest."""
    loaded = load_recipe(write_recipe(recipe))
    fingerprint = build_graph(loaded)["check"].fingerprint
    stage_worker(loaded, "check", str(tmp_path), fingerprint)
    edited = tmp_path / "judging.py"
    source = (ROOT / "stages" / "judgement" / "panel.py").read_text()
    edited.write_text(source.replace("if against == others:", "if others == against:"))
    files = code._file
    monkeypatch.setattr(
        code, "_file", lambda module: edited if module == "underpaint.stages.judgement.panel" else files(module)
    )
    with pytest.raises(CodeChanged, match="changed while the build ran"):
        stage_worker(loaded, "check", str(tmp_path), fingerprint)


def test_a_folder_is_read_again_only_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    file = tmp_path / "inner" / "weights"
    file.write_bytes(b"one")
    read: list[Any] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda f, how: read.append(f) or digest(f, how))
    first = folder_digest(tmp_path)
    assert folder_digest(tmp_path) == first and len(read) == 1
    file.write_bytes(b"other")
    assert folder_digest(tmp_path) != first and len(read) == 2
    os.utime(file, ns=(1, 1))
    folder_digest(tmp_path)
    assert len(read) == 3


def test_a_worlds_drawings_are_part_of_what_identifies_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "a_world"
    package.mkdir()
    for name in ("__init__", "brush", "other_icons"):
        (package.parent if name == "other_icons" else package).joinpath(f"{name}.py").write_text("")
    source = "from importlib import import_module\nfrom a_world import brush\nicons = import_module('other_icons')\n"
    (package / "world.py").write_text(source + "vocabulary = render = None\n")
    world = DrawnConfig(kind="drawn", world="a_world.world")
    seen = [world.identity()["source"]]
    for changed in (package / "brush.py", tmp_path / "other_icons.py"):
        changed.write_text("WIDTH = 3\n")
        seen.append(world.identity()["source"])
    assert len(set(seen)) == 3 and world.identity()["source"] == seen[-1]
    (package / "trainer.py").write_text("STEPS = 3\n")  # the world does not import it
    assert world.identity()["source"] == seen[-1]


def test_what_has_no_identity_is_refused() -> None:
    with pytest.raises(TypeError, match="no stable identity"):
        canonical({"f": object()})
    with pytest.raises(TypeError, match="no stable identity"):
        canonical(float("nan"))


def test_code_counts_and_comments_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "stages_like"
    package.mkdir()
    (package / "__init__.py").write_text("")

    def digest(source: str, helper: str) -> str:
        (package / "one.py").write_text(source)
        (package / "two.py").write_text(helper)
        return code.code_digest("stages_like.one", packages=("stages_like",))

    plain = "from stages_like.two import g\ndef f():\n    return g()\n"
    first = digest(plain, "def g():\n    return 1\n")
    assert first == digest('"""Words."""\n# words\n' + plain, "def g():\n    return 1  # one\n")
    assert first == digest(plain.replace("def f():\n", "def f():  # why\n"), "def g():\n    return 1\n")
    assert first != digest(plain, "def g():\n    return 2\n")
