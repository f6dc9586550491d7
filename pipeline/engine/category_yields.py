"""Counts the units that a stage kept by the categories of their prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from underpaint.stages.common.stage import Stage


def kept_by_category(stage: Stage[Any], table: pa.Table, prompts: pa.Table) -> dict[str, int]:
    """How many units a stage's table has of each category; with polarity, if it has one ("counting, negative").

    `prompts` is the lot's table of prompts (columns sample, category). A unit is named by the stage's `key`.
    """
    category: Mapping[int, str] = dict(zip(*(prompts[c].to_pylist() for c in ("sample", "category")), strict=True))
    key = [c for c in stage.key if c in table.column_names]
    also = [c for c in ("polarity",) if c in table.column_names]
    units = set(zip(*(table[c].to_pylist() for c in (*key, *also)), strict=True)) if key else set()
    named = (", ".join([category[unit[0]], *unit[len(key) :]]) for unit in units)
    return dict(sorted(Counter(named).items()))


def category_lines(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table as text: units kept per lot, by category and stage; judged subsets also by polarity.

    `stages` are those of `pipeline.selection.quota_status.status`.
    """
    columns: dict[str, dict[str, float]] = {}
    for s in stages:
        for name, kept in s["categories"].items():
            category, _, polarity = name.partition(", ")
            column = s["stage"] + {"positive": " +", "negative": " -"}.get(polarity, "")
            columns.setdefault(column, {})[category] = kept / max(1, s["lots"])
    if not columns:
        return []
    lines = ["", f"{'kept a lot':<20}" + "".join(f"{name:>13}" for name in columns)]
    for category in sorted({c for kept in columns.values() for c in kept}):
        lines.append(f"{category:<20}" + "".join(f"{kept.get(category, 0):>13.1f}" for kept in columns.values()))
    return lines
