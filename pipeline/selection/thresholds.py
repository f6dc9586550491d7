"""Thresholds on stored scores: a number, or a quantile over all candidates of a kind in the lots looked at."""

from __future__ import annotations

import numpy as np

from underpaint.pipeline.recipe.corpus_settings import Quantile, Select

MEASURES = ("agreement", "picture_text", "neighbour", "margin")


def least(limits: Select, measure: str, values: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """The least value that passes, for every candidate: float64 (N,). `values` (N,) has NaN where nothing was measured.

    A quantile is computed for each kind separately, over all its candidates, including those that the judge rejected.
    The quantile 0.1 is the score below which a tenth of them lie.
    """
    limit = getattr(limits, f"min_{measure}")
    if not isinstance(limit, Quantile):
        return np.full(len(values), limit)
    found = np.full(len(values), -np.inf)
    for kind in np.unique(kinds):
        mine = (kinds == kind) & ~np.isnan(values)
        if mine.any():
            found[kinds == kind] = np.quantile(values[mine], limit.quantile, method="higher")
    return found
