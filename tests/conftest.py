"""A small structural recipe (no models, Ray all the same), and the command line as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings

from underpaint.schemas.scenes.vocabulary import Vocabulary

ROOT = Path(__file__).parent.parent
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in the workers; before anything imports torch

# The same examples in every run, and no clock: a busy machine is no failure.
settings.register_profile("underpaint", deadline=None, derandomize=True)
settings.load_profile("underpaint")


def structural_recipe() -> dict[str, Any]:
    """A recipe of 30 samples that builds in seconds."""
    return {
        "name": "tiny",
        "seed": 3,
        "vocabulary": str(ROOT / "miniature" / "vocabulary.yaml"),
        "lot_size": 8,
        "models": {
            "renderer": {"kind": "drawn", "fault_rate": 0.25},
            "symbols": {"kind": "symbolic", "fault_rate": 0.25},
        },
        "roles": {"painter": "renderer", "writer": "symbols", "judge": "symbols", "scorer": "symbols"},
        "stages": {"critique": {"answers": 1}},
        "quotas": {"total": 30},
    }


@pytest.fixture
def recipe() -> dict[str, Any]:
    return structural_recipe()


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    def write(recipe: dict[str, Any]) -> Path:
        file = tmp_path / "recipe.yaml"
        file.write_text(yaml.safe_dump(recipe))
        return file

    return write


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return Vocabulary.model_validate(yaml.safe_load((ROOT / "miniature" / "vocabulary.yaml").read_text()))


def make_lot(
    write: Callable[[dict[str, Any]], Path], recipe: dict[str, Any], root: Path
) -> tuple[Any, dict[str, Any], Any]:
    """Run every stage on lot 0 in this process, without Ray: the recipe, its nodes and the store."""
    # Not above: numpy counts its threads when it is imported.
    from underpaint.pipeline.engine.graph import build_graph
    from underpaint.pipeline.engine.store import Store
    from underpaint.pipeline.engine.worker import stage_worker
    from underpaint.pipeline.recipe.recipe import load_recipe
    from underpaint.stages.all_stages import STAGES

    loaded = load_recipe(write(recipe))
    nodes, store = build_graph(loaded), Store(root)
    for name in STAGES:
        stage_worker(loaded, name, str(root), nodes[name].fingerprint)(0)
    return loaded, nodes, store


class InProcess:
    """What a pool of Ray's workers does, by this process; `broken` in every job."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken

    def run(
        self, factory: Callable[..., Any], arguments: Any, jobs: Any, *, on_done: Any = None, gpus: float = 0
    ) -> Any:  # fmt: skip
        from underpaint.pipeline.engine.ray_pool import Report

        work, report = factory(*arguments), Report()
        for job in jobs:
            if self.broken:
                report.errors[job] = RuntimeError("killed")
                continue
            report.results[job] = work(job)
            if on_done:
                on_done(job, report.results[job])
        return report


def command(*arguments: str | Path) -> tuple[list[str], dict[str, Any]]:
    """``underpaint …`` as a process of its own: the words, and how to start it."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"}
    words = [sys.executable, "-W", "ignore", "-m", "underpaint.pipeline.cli.main", *map(str, arguments)]
    return words, {"cwd": ROOT, "env": environment, "text": True}


def underpaint(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words, options = command(*arguments)
    return subprocess.run(words, capture_output=True, timeout=300, **options)


@pytest.fixture(scope="session")
def built_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 120 samples as the pipeline writes it, or the one that CORPUS names. For reading only."""
    if given := os.environ.get("CORPUS"):
        return Path(given).resolve()
    folder = tmp_path_factory.mktemp("built_corpus")
    recipe = {**structural_recipe(), "lot_size": 32, "quotas": {"total": 120}, "select": {"validation_share": 0.2}}
    recipe["stages"]["prompts"] = {"shares": {"composition": 0.7, "counting": 0.3}}  # many pictures a trajectory
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = underpaint("build", folder / "recipe.yaml", "--out", folder / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run" / "corpus"
