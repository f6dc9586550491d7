"""Shows what a threshold costs: how many candidates of each kind would be accepted over a grid of thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from underpaint.pipeline.recipe.corpus_settings import Quantile, Select
from underpaint.pipeline.recipe.quotas import Quota
from underpaint.pipeline.selection.pool import CandidatePool
from underpaint.pipeline.selection.thresholds import MEASURES

RANKS = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Yield:
    """How many candidates of each kind would be accepted, quotas aside, with this threshold on this measure."""

    measure: str
    threshold: float
    current: bool  # whether it is the recipe's own threshold
    accepted: Quota


def yields(pool: CandidatePool, limits: Select) -> list[Yield]:
    """Yields over a grid of thresholds for one measure at a time; the other measures keep the recipe's.

    In `pool` everything that is out at any thresholds must be refused already; it is not changed.
    """
    found = []
    for measure in MEASURES:
        own = getattr(limits, f"min_{measure}")
        for threshold in _grid(pool.values(measure), own):
            trial = pool.fork()
            trial.refuse_by(limits.model_copy(update={f"min_{measure}": threshold}))
            value = threshold.quantile if isinstance(threshold, Quantile) else threshold
            found.append(Yield(measure, value, threshold == own, trial.accepted_by_kind()))
    return found


def _grid(values: np.ndarray, own: float | Quantile) -> Sequence[float | Quantile]:
    """The thresholds to try, the recipe's own among them: quantiles where it is one, else scores."""
    if isinstance(own, Quantile):
        return [Quantile(quantile=r) for r in sorted({*RANKS, own.quantile})]
    measured = values[~np.isnan(values)]
    if not len(measured):
        return []
    grid = {round(float(v), 3) for v in np.quantile(measured, RANKS, method="lower")}
    return sorted({*(v for v in grid if v > own or v > measured.min()), own})


def yield_lines(found: list[Yield], kinds: list[str]) -> list[str]:
    """`yields` as text; a star marks the recipe's own thresholds."""
    width = max(map(len, kinds)) + 2
    lines = [f"{'accepted at the threshold':<30}" + "".join(f"{k:>{width}}" for k in kinds)]
    for y in found:
        mark = "*" if y.current else " "
        counts = "".join(f"{y.accepted.get(k, 0):>{width}}" for k in kinds)
        lines.append(f"{mark} min_{y.measure:<14}{y.threshold:>8.3f}  {counts}")
    return lines
