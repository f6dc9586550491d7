"""Finds what a run's folder holds but the recipe does not use: stages of former recipes, and unfinished writes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from underpaint.pipeline.engine.run_folder import Run


@dataclass(frozen=True)
class Leftover:
    """A folder or file that no command of this recipe reads."""

    path: Path
    why: str
    bytes: int


def leftovers(run: Run) -> list[Leftover]:
    """All leftovers, ordered by path. No build may be running, since it writes to some of these."""
    current = {node.folder for node in run.nodes.values()}
    found = [
        _leftover(path, "a former state of the stage")
        for place in ("lots", "quarantine")
        for path in (run.root / place).glob("*")
        if path.name not in current
    ]
    found += [_leftover(path, "a write that broke off") for path in run.root.rglob(".*.part")]
    found += [
        _leftover(path, "shards that were not finished")
        for name in ("corpus.new", "corpus.new.tmp", "corpus.old")
        if (path := run.root / name).exists()
    ]
    return sorted(found, key=lambda x: x.path)


def delete(found: list[Leftover]) -> None:
    """Delete these files and folders."""
    for leftover in found:
        if leftover.path.is_dir():
            shutil.rmtree(leftover.path)
        else:
            leftover.path.unlink(missing_ok=True)


def _leftover(path: Path, why: str) -> Leftover:
    files = path.rglob("*") if path.is_dir() else [path]
    return Leftover(path, why, sum(f.stat().st_size for f in files if f.is_file()))
