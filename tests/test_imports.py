"""Nothing in stages/ imports a stage, but for one; who else imports whom is for the contracts in pyproject.toml."""

from __future__ import annotations

import ast
from pathlib import Path

from conftest import ROOT

FLOOR = {file.stem for file in (ROOT / "stages").glob("*.py")} - {"__init__"}
# The judge is calibrated on plans made as the stage `plan` makes them.
ALLOWED = {("calibration", "plan")}


def imported(file: Path) -> set[str]:
    """Every module that a file names in an import, each name that it takes from one counted as a module too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_no_stage_is_imported_from_within_stages() -> None:
    arrows = {
        (".".join(file.relative_to(ROOT / "stages").with_suffix("").parts), stage)
        for file in (ROOT / "stages").rglob("*.py")
        for stage in FLOOR
        if f"underpaint.stages.{stage}" in imported(file)
    }
    assert {"plan", "rollout", "critique"} <= FLOOR
    assert arrows == ALLOWED
