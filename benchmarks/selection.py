"""Compares two ways to select a corpus from many candidates: pipeline/selection/select.py, and a loop over rows.

    python -m benchmarks.selection 300000

The candidates are made up, with kinds in the proportions of a real pool. Both ways must choose the same samples.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from underpaint.pipeline.engine.candidate_tables import EMPTY, Candidates
from underpaint.pipeline.recipe.quotas import PAPER
from underpaint.pipeline.recipe.recipe import Recipe, load_recipe
from underpaint.pipeline.selection.pool import CandidatePool
from underpaint.pipeline.selection.select import select
from underpaint.pipeline.selection.threshold_grid import yields

RECIPE = Path(__file__).parent.parent / "recipes" / "structural.yaml"
LOTS = 1000


class MadeUp(Candidates):
    """`count` made-up candidates, a tenth of them faulty, a twentieth duplicates."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(0)
        kinds = rng.choice(list(PAPER), count, p=np.array(list(PAPER.values())) / sum(PAPER.values()))
        scenes = rng.integers(0, count // 3, count)
        columns: dict[str, Any] = {
            "sample": np.arange(count), "rollout": np.zeros(count, np.int16), "step": np.ones(count, np.int16),
            "kind": kinds, "category": rng.choice(["counting", "position"], count),
            "prompt": [f"prompt {s}" for s in scenes], "scene": [f"{s:016x}" for s in scenes],
            "pictures": np.full(count, 2, np.int16), "content": rng.integers(0, 10 * count, count),
            "fault": np.where(rng.random(count) < 0.1, "a picture that the judge rejects", ""),
            "agreement": rng.random(count, np.float32), "picture_text": rng.random(count, np.float32),
            "neighbour": rng.random(count, np.float32), "margin": rng.random(count, np.float32),
            "detour": [""] * count, "repair": [""] * count, "tries": np.zeros(count, np.int16),
            "findings": [[]] * count, "lot": np.arange(count) * LOTS // count,
        }  # fmt: skip
        self.rows = pa.table(columns, schema=EMPTY.schema)

    def table(self, lots: Any) -> pa.Table:
        """All candidates, whatever the lots."""
        return self.rows


def plain_loop(table: pa.Table, recipe: Recipe) -> set[int]:
    """The samples that are chosen, found by a plain loop over rows."""
    quota, taken, seen, chosen = recipe.quotas.numbers(), Counter[str](), set[int](), set[int]()
    for row in table.to_pylist():
        if row["fault"] or row["margin"] < recipe.select.min_margin or row["content"] in seen:
            continue
        seen.add(row["content"])
        if taken[row["kind"]] < quota[row["kind"]]:
            taken[row["kind"]] += 1
            chosen.add(row["sample"])
    return chosen


def main() -> None:
    """The command line. Exits with an error where the two ways choose different samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("candidates", type=int, nargs="?", default=300_000)
    count = parser.parse_args().candidates
    changes = [("quotas", f"{{total: {min(62_213, count // 4)}}}"), ("select.min_margin", "0.05")]
    recipe, made_up = load_recipe(RECIPE, changes), MadeUp(count)
    seconds = {}
    start = time.monotonic()
    chosen = select(recipe, {}, None, {"painted": LOTS, "sampled": LOTS}, made_up).chosen  # type: ignore[arg-type]
    seconds["select, columns"] = time.monotonic() - start
    start = time.monotonic()
    looped = plain_loop(made_up.rows, recipe)
    seconds["select, plain loop (no ids, no order)"] = time.monotonic() - start
    if {r.sample for r in chosen} != looped:
        raise SystemExit("the two ways choose other samples")
    start = time.monotonic()
    grid = yields(CandidatePool(made_up.rows), recipe.select)
    seconds[f"yields at {len(grid)} thresholds"] = time.monotonic() - start
    print(f"{count:,} candidates, {len(chosen):,} chosen, both ways the same")
    for name, value in seconds.items():
        print(f"{value:7.2f} s  {name}")


if __name__ == "__main__":
    main()
