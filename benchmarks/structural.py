"""Times the structural recipe at several sizes: a build, a second build without work, selecting, and verifying.

    python -m benchmarks.structural 400 2000 --out runs/scale

There is no model in it, so it measures the pipeline itself: scenes, drawing, judging, store, selection, shards. Every
step is a command as a user calls it. A build that was stopped before goes on; then its time is that of the rest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

RECIPE = Path(__file__).parent.parent / "recipes" / "structural.yaml"
STEPS = {"build": 0, "again": 0, "select --dry-run": 0, "verify": 0, "report": 0}


def write_recipe(out: Path, total: int, lot_size: int) -> Path:
    """Write the structural recipe with `total` samples and this lot size. Returns its path."""
    recipe = yaml.safe_load(RECIPE.read_text())
    recipe |= {"name": f"structural_{total}", "quotas": {"total": total}, "lot_size": lot_size, "rounds": {"pilot": 4}}
    recipe["vocabulary"] = str((RECIPE.parent / recipe["vocabulary"]).resolve())
    file = out / f"structural_{total}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(recipe))
    return file


def measure(file: Path, run: Path, workers: int) -> dict[str, Any]:
    """Seconds of every step, and the size of the corpus. Raises CalledProcessError where a step fails."""
    steps = {
        "build": ["build", file, "--out", run, "--workers", workers],
        "again": ["build", file, "--out", run, "--workers", workers],
        "select --dry-run": ["select", file, "--out", run, "--dry-run"],
        "verify": ["verify", run / "corpus"],
        "report": ["report", file, "--out", run],
    }
    seconds = {}
    for name, arguments in steps.items():
        start = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "underpaint.pipeline.cli.main", *map(str, arguments)],
            check=True,
            capture_output=True,
        )
        seconds[name] = round(time.monotonic() - start, 1)
    index = json.loads((run / "corpus" / "index.json").read_text())
    lots = json.loads((run / "build.json").read_text())
    return {"samples": index["samples"], "pictures": index["pictures"], **lots["lots"], "seconds": seconds}


def main() -> None:
    """The command line: prints a Markdown table with one row per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("totals", type=int, nargs="+", help="samples of each build, e.g. 400 2000 62213")
    parser.add_argument("--out", type=Path, default=Path("runs/scale"))
    parser.add_argument("--lot-size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    print("| samples | pictures | lots | " + " | ".join(f"{name}, s" for name in STEPS) + " |")
    print("| --- " * (3 + len(STEPS)) + "|")
    for total in arguments.totals:
        file = write_recipe(arguments.out, total, arguments.lot_size)
        found = measure(file, arguments.out / file.stem, arguments.workers)
        lots = f"{found['painted']} + {found['sampled']}"
        times = " | ".join(f"{found['seconds'][name]}" for name in STEPS)
        print(f"| {found['samples']:,} | {found['pictures']:,} | {lots} | {times} |", flush=True)


if __name__ == "__main__":
    main()
