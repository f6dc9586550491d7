"""The type checker finds a misspelt method of a role, a misspelt column of a row, and another stage's parameters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

RIGHT = """
from underpaint.pipeline.recipe.recipe import Recipe
from underpaint.stages import draft
from underpaint.stages.common.roles import AskRequest, answer_of
from underpaint.stages.common.rows import rows
from underpaint.stages.common.stage import Context, Tables
from underpaint.stages.draft import DraftParams, DraftRow


def use(context: Context[DraftParams], inputs: Tables, recipe: Recipe) -> list[str]:
    first = rows(inputs["draft"], DraftRow)[0]
    said = map(answer_of, context.models["writer"].ask([AskRequest("write", str(first["seed"]), 1)]))
    row: DraftRow = {"sample": 1, "step": 1, "picture": b"", "seed": context.params.drafts, "scores": []}
    return [*(one.text for one in said), str(row["scores"]), str(recipe.params(draft.STAGE).drafts)]
"""
WRONG = {
    '["writer"].ask(': ('["writer"].aks(', '"Speaker" has no attribute "aks"'),
    'first["seed"]': ('first["sede"]', 'has no key "sede"'),
    '"step": 1, "picture"': ('"setp": 1, "picture"', "Missing key"),
    'models["writer"]': ('models["wirter"]', 'has no key "wirter"'),
    "context.params.drafts": ("context.params.drfats", 'has no attribute "drfats"'),
    "params(draft.STAGE).drafts": ("params(draft.STAGE).answers", 'has no attribute "answers"'),
}


def test_misspelt_roles_columns_and_parameters_are_found(tmp_path: Path) -> None:
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "underpaint").symlink_to(ROOT)
    files = {"right.py": RIGHT} | {f"wrong{i}.py": RIGHT.replace(a, b) for i, (a, (b, _)) in enumerate(WRONG.items())}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    words = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", ".mypy_cache"]
    done = subprocess.run(
        [*words, "--no-error-summary", *files], cwd=tmp_path, capture_output=True, text=True, timeout=600,
        env={**os.environ, "MYPYPATH": str(tmp_path / "types")},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert not [line for line in lines if line.startswith("right.py")], done.stdout + done.stderr
    for i, (_, message) in enumerate(WRONG.values()):
        assert any(line.startswith(f"wrong{i}.py") and message in line for line in lines), (message, done.stdout)
