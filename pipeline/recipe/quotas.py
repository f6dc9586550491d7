"""Computes quotas: samples by kind and category, the lots that they take, and the shards that they fill."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from underpaint.schemas.corpus.subsets import SAMPLE_KINDS, SUBSETS, kinds_of

Quota = dict[str, int]  # by kind: subset and polarity
QuotaCell = tuple[str, str]  # a kind and a category; "" is any category
QuotaCells = dict[QuotaCell, int]

PAPER: Quota = {name: kind.paper for name, kind in SAMPLE_KINDS.items()}
VALIDATION_SHARDS = 8  # of every subset of the paper's corpus
SHARD_SAMPLES = 250  # about as many as a shard of the paper's corpus has
GROWTH = 3  # a round makes a branch at most this many times as long: yields of few lots say little


def largest_remainder(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Split `total` in proportion to the shares, by largest remainder; parts sum to `total`. Earlier names win ties."""
    whole = sum(shares.values())
    exact = {n: total * share / whole for n, share in shares.items()}
    parts = {n: math.floor(x) for n, x in exact.items()}
    by_remainder = sorted(shares, key=lambda n: exact[n] - parts[n], reverse=True)
    for name in by_remainder[: total - sum(parts.values())]:
        parts[name] += 1
    return parts


def proportional(total: int) -> Quota:
    """The quota of `total` samples in the paper's proportions."""
    return largest_remainder(total, PAPER)


def lots_wanted(quota: QuotaCells, accepted: QuotaCells, recent: QuotaCells, done: int, pilot: int, most: int) -> int:
    """How many lots a branch should have run in all; `done` where its quotas are met.

    `accepted` counts all accepted candidates so far, `recent` those of lots ``done // 2`` and later. The estimate uses
    the latter, since duplicates become more frequent with time. The first round runs `pilot` lots. A cell without any
    recent yield doubles the lots. A tenth is added, so that a slightly lower yield needs no further round.
    """
    if done == 0:
        return min(pilot, most) if any(quota.values()) else 0
    wanted = done
    for cell, number in quota.items():
        missing = number - accepted.get(cell, 0)
        if missing <= 0:
            continue
        rate = recent.get(cell, 0) / (done - done // 2)
        estimate = done + math.ceil(1.1 * missing / rate) if rate else 2 * done
        wanted = max(wanted, min(estimate, GROWTH * done))
    return min(wanted, most)


def shard_numbers(quota: Quota, given: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """The number of shards by (subset, split): as `given` for the subset or "validation", else as in the paper.

    The latter are scaled to the quota and rounded to powers of two; for training at least two, for two workers.
    """
    numbers = {}
    for subset, full in ((s.name, s.shards) for s in SUBSETS.values()):
        paper = sum(PAPER[n] for n in kinds_of(subset)) or SHARD_SAMPLES * full
        share = sum(quota[n] for n in kinds_of(subset)) / paper
        numbers[subset, "train"] = given.get(subset) or _power_of_two(full * share, 2, full)
        numbers[subset, "validation"] = given.get("validation") or _power_of_two(
            VALIDATION_SHARDS * share, 1, VALIDATION_SHARDS
        )
    return numbers


def _power_of_two(wanted: float, least: int, most: int) -> int:
    """The power of two nearest to `wanted`, within limits that are powers of two."""
    return min(most, max(least, 2 ** round(math.log2(wanted)) if wanted > 1 else 1))


def of_kinds(cells: QuotaCells, kinds: Iterable[str]) -> QuotaCells:
    """The cells whose kind is among these."""
    names = set(kinds)
    return {cell: n for cell, n in cells.items() if cell[0] in names}


def by_kind(cells: QuotaCells) -> Quota:
    """The numbers of every kind, summed over categories."""
    return {kind: sum(n for (k, _), n in cells.items() if k == kind) for kind in PAPER}


def cell_name(cell: QuotaCell) -> str:
    """ "multi_turn", or "multi_turn, counting" where categories have quotas."""
    return ", ".join(filter(None, cell))
