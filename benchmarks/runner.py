"""Measures the cost of the Ray runner: the same stages and lots in a plain loop, with one worker, and with two.

    python -m benchmarks.runner [--recipe recipes/structural.yaml] [--lots 8]

Every way builds into its own folder, and all tables must be equal byte for byte. Ray's start is not part of the seconds
for the lots; it is counted separately, since a build needs it only once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from underpaint.pipeline.engine.run_folder import Run, mark_run, open_run
from underpaint.pipeline.engine.runner import Pool, pool
from underpaint.pipeline.engine.worker import stage_worker
from underpaint.stages.all_stages import BRANCHES

Stages = tuple[str, ...]


def plain(run: Run, stages: Stages, lots: int) -> None:
    """Run the stages in a plain loop."""
    for stage in stages:
        work = stage_worker(run.recipe, stage, str(run.root), run.nodes[stage].fingerprint)
        for lot in range(lots):
            work(lot)


def on_ray(actors: Pool) -> Callable[[Run, Stages, int], None]:
    """A function that runs the stages on a pool of Ray actors."""

    def build(run: Run, stages: Stages, lots: int) -> None:
        for stage in stages:
            arguments = run.recipe, stage, str(run.root), run.nodes[stage].fingerprint
            if errors := actors.run(stage_worker, arguments, range(lots)).errors:
                raise next(iter(errors.values()))

    return build


def measure(recipe: Path, lots: int) -> dict[str, dict[str, float | str]]:
    """By way: seconds for the lots, seconds until the first worker was ready, and the digest of all tables."""
    stages = tuple(dict.fromkeys(s for branch in BRANCHES.values() for s in branch))
    found: dict[str, dict[str, float | str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, workers in (("plain loop", 0), ("ray, 1 worker", 1), ("ray, 2 workers", 2)):
            run = open_run(recipe, Path(folder) / name.replace(" ", "_").replace(",", ""))
            mark_run(run)
            begin = time.perf_counter()
            if not workers:
                ready = begin
                plain(run, stages, lots)
                end = time.perf_counter()
            else:
                with pool(workers, 1) as actors:
                    actors.run(_nothing, (), range(workers))
                    ready = time.perf_counter()
                    on_ray(actors)(run, stages, lots)
                    end = time.perf_counter()
            found[name] = {"seconds": end - ready, "start": ready - begin, "tables": _digest(run, stages, lots)}
    return found


def _nothing() -> Callable[[int], int]:
    return lambda job: job


def _digest(run: Run, stages: Stages, lots: int) -> str:
    digests = [run.store.manifest(run.nodes[s], lot)["sha256"] for s in stages for lot in range(lots)]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def main() -> None:
    """The command line. Exits with an error where the tables differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/structural.yaml"))
    parser.add_argument("--lots", type=int, default=8)
    arguments = parser.parse_args()
    found = measure(arguments.recipe, arguments.lots)
    for way in found.values():
        way["to plain"] = float(way["seconds"]) / float(found["plain loop"]["seconds"])
    print(json.dumps(found, indent=1))
    if len({way["tables"] for way in found.values()}) > 1:
        raise SystemExit("the tables differ")


if __name__ == "__main__":
    main()
