"""Measures how often the scorer prefers the right text to one that is wrong in a single thing."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from underpaint.miniature.measure.outcomes import Figure
from underpaint.miniature.minimal_edits import EDIT_KINDS, held_out
from underpaint.miniature.scenes import HeldOut
from underpaint.miniature.world import render
from underpaint.stages.models.scorer import OpenClipScorer

BARS = {"colour": "≥ 0.97", "noun": "≥ 0.97", "count": "≥ 0.90", "relation": "≥ 0.85"}


def measure(scorer: OpenClipScorer, n: int, rates: dict[str, float], cases: str = "evaluate/scorer") -> list[Figure]:
    """AUC over `n` pairs of each kind, drawn with the seed `cases`, with Hanley and McNeil's interval.

    Adds a rate per second to `rates`.
    """
    rng = HeldOut(cases)
    rows = []
    start = time.time()
    for kind in EDIT_KINDS:
        pairs = held_out(rng, kind, n)
        picture = scorer.embed_pictures([render(a.graph, a.seed) for a, _ in pairs])
        right = torch.from_numpy((picture * scorer.embed_texts([a.text for a, _ in pairs])).sum(1))
        wrong = torch.from_numpy((picture * scorer.embed_texts([b.text for _, b in pairs])).sum(1))
        found = separation(right, wrong)
        auc, spread = found["auc"], 1.96 * _deviation(found["auc"], n)
        low, high = round(max(0.0, auc - spread), 4), round(min(1.0, auc + spread), 4)
        rows.append(Figure("scorer", f"AUC {kind}", round(auc, 4), low, high, n, BARS.get(kind, "")))
        ranked = round(found["ranked right"], 4)
        rows.append(Figure("scorer", f"right text above its own {kind} edit", ranked, ranked, ranked, n))
    rates["picture and two texts embedded a second"] = round(n * len(EDIT_KINDS) / (time.time() - start), 2)
    return rows


def separation(right: Tensor, wrong: Tensor) -> dict[str, float]:
    """AUC of the scores (N,) of right and wrong texts, and how often a right text beats its own edit."""
    above = (right[:, None] > wrong[None]).float() + 0.5 * (right[:, None] == wrong[None]).float()
    return {"auc": float(above.mean()), "ranked right": float((right > wrong).float().mean())}


def _deviation(auc: float, n: int) -> float:
    """The standard error of an AUC over n right and n wrong scores (Hanley and McNeil 1982)."""
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    return math.sqrt(max(0.0, auc * (1 - auc) + (n - 1) * (q1 + q2 - 2 * auc * auc)) / (n * n))
