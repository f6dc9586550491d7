"""CONTRIBUTING.md adds a stage in two files and a subset in five: done here as it says, in a copy that then builds."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, structural_recipe

ROOMS = ("underpaint", "schemas", "stages", "pipeline", "miniature")
BLOCK = re.compile(r"^```(python|diff) ?(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FINGERPRINTS = """
import json, sys
from pathlib import Path
from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.recipe.recipe import load_recipe
print(json.dumps({name: node.fingerprint for name, node in build_graph(load_recipe(Path(sys.argv[1]))).items()}))
"""


def section(title: str) -> list[tuple[str, str, str]]:
    """The code blocks of a section: language, file, text."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (text,) = re.findall(rf"^## {title}\n(.*?)^## ", page, re.DOTALL | re.MULTILINE)
    return BLOCK.findall(text)


def do(copy: Path, title: str) -> set[str]:
    """Follow a section in a copy; gives the files touched."""
    touched = set()
    for language, file, text in section(title):
        if language == "python":
            (copy / file).write_text(text, encoding="utf-8")
            touched.add(file)
        else:
            subprocess.run(["git", "apply", "--unidiff-zero", "-"], cwd=copy, input=text, text=True, check=True)
            touched |= set(re.findall(r"^\+\+\+ b/(\S+)$", text, re.MULTILINE))
    return touched


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code, without the checkpoints, and a structural recipe beside it."""
    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__", "checkpoints")
        shutil.copytree(ROOT / room, tmp_path / "copy" / room, ignore=ignored)
    recipe = structural_recipe()
    recipe["vocabulary"] = "miniature/vocabulary.yaml"
    (tmp_path / "copy" / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path / "copy"


def python(copy: Path, *words: str) -> str:
    """What a command in the copy prints, run with the copy's code."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *words], cwd=copy, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fingerprints(copy: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(python(copy, "-c", FINGERPRINTS, "recipe.yaml"))
    return found


def built(copy: Path, **changes: Any) -> dict[str, Any]:
    """Build the copy's recipe after these changes; gives its status."""
    recipe = {**yaml.safe_load((copy / "recipe.yaml").read_text()), **changes}
    (copy / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    python(copy, "-m", "underpaint", "build", "recipe.yaml", "--out", "run")
    assert "; 0 problems" in python(copy, "-m", "underpaint", "verify", "run/corpus")
    found: dict[str, Any] = json.loads(
        python(copy, "-m", "underpaint", "status", "recipe.yaml", "--out", "run", "--json")
    )
    return found


def test_adding_a_stage_takes_two_files_and_stales_none(copy: Path) -> None:
    before = fingerprints(copy)
    assert do(copy, "Adding a stage") == {"stages/brightness.py", "stages/all_stages.py"}
    after = fingerprints(copy)
    assert after.keys() - before.keys() == {"brightness"} and all(after[name] == before[name] for name in before)
    stages = {s["stage"]: s for s in built(copy)["stages"]}
    assert stages["brightness"]["kept"] == stages["score_drafts"]["kept"] > 0


def test_adding_a_subset_takes_five_files(copy: Path) -> None:
    before = fingerprints(copy)
    touched = do(copy, "Adding a subset")
    assert touched == {
        "schemas/corpus/subsets.py", "stages/finish.py", "stages/all_stages.py", "stages/candidates.py",
        "pipeline/corpus/assemble.py",
    }  # fmt: skip
    after = fingerprints(copy)
    assert {name for name in before if after[name] != before[name]} <= {"candidates_painted", "candidates_sampled"}
    quotas = dict(zip(("multi_turn", "conflict_positive", "conflict_negative"), (6, 4, 4), strict=True))
    quotas |= dict(zip(("alignment_positive", "alignment_negative"), (4, 4), strict=True))
    status = built(copy, quotas=quotas | {"finish_positive": 3, "finish_negative": 2})
    assert {k: q["chosen"] for k, q in status["quotas"].items()} == {
        **quotas, "finish_positive": 3, "finish_negative": 2,
    }  # fmt: skip
    shards = sorted(p.name for p in (copy / "run" / "corpus" / "finish").glob("*.tar"))
    assert shards and shards[0].startswith("fin-")
    assert "finish negative" in python(copy, "-m", "underpaint", "report", "recipe.yaml", "--out", "run") or (
        "finish negative" in (copy / "run" / "report.html").read_text()
    )
