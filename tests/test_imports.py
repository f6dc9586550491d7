"""A stage is imported only by stages that read its table; all other imports are for the contracts in pyproject.toml."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from conftest import ROOT

from underpaint.stages.all_stages import STAGES
from underpaint.stages.common.stage import Stage

FLOOR = {file.stem for file in (ROOT / "stages").glob("*.py")} - {"__init__", "all_stages"}
# The judge is calibrated on plans made as the stage `plan` makes them.
ALLOWED = {("calibration", "plan"), *(("all_stages", stage) for stage in FLOOR)}


def imported(file: Path) -> set[str]:
    """Every module that a file names in an import, each name that it takes from one counted as a module too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def upstream(stage: str) -> set[str]:
    """The files of all stages whose tables a file's stages read, at first or second hand."""
    found: set[str] = set()
    todo = [s for s in STAGES.values() if s.run.__module__.endswith(f".{stage}")]
    while todo:
        more = [STAGES[name] for name in todo.pop().inputs]
        todo += [s for s in more if file_of(s) not in found]
        found |= set(map(file_of, more))
    return found


def file_of(stage: Stage[Any]) -> str:
    return stage.run.__module__.rpartition(".")[2]


def test_a_stage_is_imported_by_those_alone_that_read_its_rows() -> None:
    arrows = {
        (".".join(file.relative_to(ROOT / "stages").with_suffix("").parts), stage)
        for file in (ROOT / "stages").rglob("*.py")
        for stage in FLOOR
        if f"underpaint.stages.{stage}" in imported(file)
    }
    assert {"plan", "rollout", "critique"} <= FLOOR and ("critique", "rollout") in arrows
    assert {(file, stage) for file, stage in arrows if stage not in upstream(file)} == ALLOWED
