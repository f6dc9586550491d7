"""Every example is run as it stands, as its README says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, underpaint
from loaders import by_hand
from PIL import Image

EXAMPLES = ROOT / "examples"
SUBSETS = ("multi_turn", "conflict", "alignment")


def samples(corpus: Path, split: str) -> list[dict[str, Any]]:
    """Every sample's fields, read without any library for shards."""
    return [fields for subset in SUBSETS for fields, _ in by_hand(corpus, subset, split).values()]


def run(*words: str | Path) -> str:
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_reader_counts_every_sample_and_shows_every_part(built_corpus: Path) -> None:
    printed = run(EXAMPLES / "read_shards.py", built_corpus)
    counted = {kind: int(n) for n, kind in re.findall(r"^ +(\d+) (\S.*)$", printed, re.MULTILINE)}
    expected = Counter(
        f"{s['subset']}{'' if s['polarity'] == 'none' else ', ' + s['polarity']}: {split}"
        for split in ("train", "validation")
        for s in samples(built_corpus, split)
    )
    assert counted == expected
    shown = re.findall(r"^\S.*: (\w{3}-\d{8})$", printed, re.MULTILINE)
    assert len(shown) == 5  # a sample of each kind
    parts = [len(s["segments"]) for s in samples(built_corpus, "train") if s["id"] in shown]
    assert len(re.findall(r"^  (?:target |context) \w+ +\S", printed, re.MULTILINE)) == sum(parts)


def test_the_reader_needs_no_code_of_this_project() -> None:
    imports = re.findall(r"^(?:import|from) (\w+)", (EXAMPLES / "read_shards.py").read_text(), re.MULTILINE)
    assert set(imports) - set(sys.stdlib_module_names) == {"webdataset", "PIL"}


def test_the_notebook_runs_and_holds_no_outputs(
    built_corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = json.loads((EXAMPLES / "look_at_a_corpus.ipynb").read_text())
    assert notebook["nbformat"] == 4
    cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in cells)
    monkeypatch.setenv("CORPUS", str(built_corpus))
    desk: dict[str, Any] = {}
    for cell in cells:
        exec(compile("".join(cell["source"]), cell["id"], "exec"), desk)
    expected = samples(built_corpus, "train")
    assert len(desk["samples"]) == len(expected)
    assert desk["kinds"] == Counter((s["subset"], s["polarity"]) for s in expected)
    longest = max(s["n_images"] for s in expected if s["subset"] == "multi_turn")
    assert isinstance(desk["strip"], Image.Image)
    assert desk["strip"].size == (longest * 128 + (longest - 1) * 8, 128)  # of 64 x 64, twice as large, 8 between
    assert desk["correction"].size == (2 * 128 + 8, 128)
    assert "target  inspect" in capsys.readouterr().out


def test_the_critique_is_sound_and_the_recipe_uses_it() -> None:
    folder = EXAMPLES / "add_a_critique"
    linted = underpaint("templates", "lint", folder / "templates")
    assert linted.returncode == 0 and "1 template, 0 problems" in linted.stdout
    tested = underpaint("templates", "test", folder / "templates")
    assert tested.returncode == 0 and "1 template, 0 failures" in tested.stdout
    assert tested.stdout.count("passed  critique_light") == 3
    listed = json.loads(underpaint("templates", "list", folder / "recipe.yaml", "--json").stdout)
    (mine,) = [t for t in listed if t["id"] == "critique_light"]
    drawn = mine["drawn"]
    assert drawn["critique"] == pytest.approx(0.2)  # 0.25, as the recipe says, against 1 of the built-in one
    assert "check" not in drawn


def test_without_its_two_lines_the_recipe_has_no_such_critique(tmp_path: Path) -> None:
    recipe = yaml.safe_load((EXAMPLES / "add_a_critique" / "recipe.yaml").read_text())
    del recipe["templates"], recipe["template_weights"]
    recipe["vocabulary"] = str(ROOT / "miniature" / "vocabulary.yaml")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    listed = json.loads(underpaint("templates", "list", tmp_path / "recipe.yaml", "--json").stdout)
    assert "critique_light" not in {t["id"] for t in listed}


def test_a_model_of_ones_own_builds_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = EXAMPLES / "model_of_ones_own"
    monkeypatch.setenv("PYTHONPATH", str(folder))
    built = underpaint("build", folder / "recipe.yaml", "--out", tmp_path / "run")
    assert built.returncode == 0, built.stdout + built.stderr
    assert underpaint("verify", tmp_path / "run" / "corpus").returncode == 0
    found = [s for split in ("train", "validation") for s in samples(tmp_path / "run" / "corpus", split)]
    assert len(found) == 30
    painters = {picture["model"] for sample in found for picture in sample["images"]}
    assert painters == {"painter"}
    flawed = [s for s in found if (s["subset"], s["polarity"]) == ("alignment", "negative")]
    corrections = [part["text"] for sample in flawed for part in sample["segments"] if part["stage"] == "refine"]
    assert corrections and all(re.fullmatch(r"<refine>Make the \w+ .*\w+\.</refine>", c) for c in corrections)
