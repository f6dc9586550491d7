"""The walk of docs/templates.md, run as it stands there: files are written, commands run, outputs compared."""

from __future__ import annotations

import doctest
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

from underpaint.stages.all_stages import STAGES

PAGE = ROOT / "docs" / "templates.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def walk() -> list[tuple[str, str, str]]:
    """(language, file, text) of every fenced block, in order."""
    return [match.groups(default="") for match in BLOCK.finditer(PAGE.read_text())]  # type: ignore[misc]


def commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with the output the page shows (``...`` is any text)."""
    for part in text.split("$ ")[1:] if text.startswith("$ ") else []:
        command, _, output = part.partition("\n")
        yield command, output


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder as a reader has it after cloning: recipes, the miniature world, `underpaint` on the path."""
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    (tmp_path / "miniature").symlink_to(ROOT / "miniature")
    script = tmp_path / "bin" / "underpaint"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -W ignore -m underpaint.pipeline.cli.main "$@"\n')
    script.chmod(0o755)
    return tmp_path


def pictures(run: Path) -> dict[str, str]:
    """Every table of drafts and rollouts, by digest."""
    files = [*run.glob("lots/draft-*/*"), *run.glob("lots/rollout-*/*")]
    return {str(f.relative_to(run)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_the_walk_about_perspective(desk: Path) -> None:
    path = f"{desk / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    painted: dict[str, str] = {}
    for language, file, text in walk():
        if file:
            (desk / file).parent.mkdir(exist_ok=True)
            (desk / file).write_text(text)
        for command, expected in commands(text) if language == "console" else []:
            done = subprocess.run(
                command, shell=True, cwd=desk, env=environment, text=True, capture_output=True, timeout=300
            )  # fmt: skip
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            assert checker.check_output(expected, done.stdout, flags), f"{command}\n{done.stdout}"
            painted = painted or pictures(desk / "runs" / "mine")
    assert painted and pictures(desk / "runs" / "mine") == painted  # not one picture again
    stages = Counter(p.name.split("-")[0] for p in (desk / "runs" / "mine" / "lots").iterdir())
    assert {stage for stage, made in stages.items() if made == 2} == {"calibration", "critique", *following("critique")}


def following(stage: str) -> set[str]:
    """The stages that read a stage's table, however far down."""
    readers = {s.name for s in STAGES.values() if stage in s.inputs}
    return readers.union(*map(following, readers))
