"""The pool of candidates: all candidates of a run as columns, each with the first reason for which it was refused."""

from __future__ import annotations

import copy
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa

from underpaint.pipeline.recipe.benchmark_lists import Benchmarks, Hit
from underpaint.pipeline.recipe.corpus_settings import Select
from underpaint.pipeline.recipe.quotas import Quota, QuotaCells
from underpaint.pipeline.selection.decisions import Decisions
from underpaint.pipeline.selection.thresholds import MEASURES, least

DUPLICATE, OVER = "a duplicate", "over quota"


def open_pool(table: pa.Table, benchmarks: Benchmarks, decisions: Decisions) -> tuple[CandidatePool, dict[str, Hit]]:
    """The pool, after refusing what is out at any thresholds; and the prompts that are also in a benchmark."""
    pool = CandidatePool(table)
    pool.hear(decisions)
    contaminated = pool.refuse_benchmarks(benchmarks)
    pool.refuse_faults()
    return pool, contaminated


class CandidatePool:
    """N candidates in stream order. A mask is a bool array (N,)."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.kinds = _strings(table, "kind")
        self.lots = table["lot"].to_numpy()
        self.reasons = [""]
        self.why = np.zeros(table.num_rows, np.int16)
        self.vouched = np.zeros(table.num_rows, bool)  # accepted by a person

    def hear(self, decisions: Decisions) -> None:
        """Apply people's decisions: refuse what they rejected, and exempt what they accepted from thresholds."""
        if not decisions:
            return
        keys = zip(self.kinds.tolist(), self.table["content"].to_pylist(), strict=True)
        said = np.array([decisions[k].decision if k in decisions else "" for k in keys], dtype=str)
        self.vouched = said == "accept"
        self.refuse(said == "reject", "a reviewer's decision")

    def fork(self) -> CandidatePool:
        """A copy in which other candidates can be refused; both share the columns."""
        other = copy.copy(self)
        other.reasons, other.why = [*self.reasons], self.why.copy()
        return other

    def values(self, measure: str) -> np.ndarray:
        """The values of a measure, float64 (N,); NaN where nothing was measured."""
        found: np.ndarray = self.table[measure].to_numpy(zero_copy_only=False).astype(np.float64)
        return found

    def refuse(self, mask: np.ndarray, reason: str) -> None:
        """Refuse the accepted candidates of a mask (N,) for a reason; those refused before keep their first reason."""
        self.reasons.append(reason)
        self.why[mask & self.accepted()] = len(self.reasons) - 1

    def accepted(self) -> np.ndarray:
        """The mask (N,) of candidates that nothing speaks against."""
        found: np.ndarray = self.why == 0
        return found

    def accepted_by_kind(self) -> Quota:
        """The number of accepted candidates of each kind."""
        found, numbers = np.unique(self.kinds[self.accepted()], return_counts=True)
        return {str(kind): int(n) for kind, n in zip(found, numbers, strict=True)}

    def refuse_benchmarks(self, benchmarks: Benchmarks) -> dict[str, Hit]:
        """Refuse candidates whose prompt is also in a benchmark. Returns these prompts, with the benchmarks' lines."""
        if not benchmarks.lines or not self.table.num_rows:
            return {}
        prompts = self.table["prompt"].combine_chunks().dictionary_encode()
        first = np.unique(prompts.indices.to_numpy(), return_index=True)[1]
        about = self.table.select(["scene", "prompt", "short"]).take(first).to_pylist()
        hits = [benchmarks.find(*row.values()) for row in about]
        hit = np.array([h is not None for h in hits])
        self.refuse(hit[prompts.indices.to_numpy()], "a benchmark's prompt")
        return {p.as_py(): h for p, h in zip(prompts.dictionary, hits, strict=True) if h}

    def refuse_faults(self) -> None:
        """Refuse candidates with a fault, each for its own."""
        faults = _strings(self.table, "fault")
        for fault in sorted(set(np.unique(faults)) - {""}):
            self.refuse(faults == fault, fault)

    def refuse_duplicates(self) -> None:
        """Of accepted candidates with equal content, keep the first in stream order and refuse the others."""
        rows = np.flatnonzero(self.accepted())
        first = np.unique(self.table["content"].to_numpy()[rows], return_index=True)[1]
        again = np.ones(self.table.num_rows, bool)
        again[rows[first]] = False
        self.refuse(again, DUPLICATE)

    def cells(self, quota: QuotaCells) -> dict[tuple[str, str], np.ndarray]:
        """The mask (N,) of members of every cell that has a quota."""
        categories = _strings(self.table, "category")
        return {(k, c): (self.kinds == k) & ((categories == c) | (c == "")) for k, c in quota}

    def refuse_by(self, limits: Select) -> None:
        """Refuse what the wrong one or nobody checked, what is below a threshold, then duplicates among the rest."""
        checked = _strings(self.table, "checked_by")
        for checker in sorted({*np.unique(checked)} - {*limits.checked_by}):
            self.refuse((checked == checker) & ~self.vouched, f"checked by {checker}")
        for measure in MEASURES:
            low = self.values(measure) < least(limits, measure, self.values(measure), self.kinds)
            self.refuse(low & ~self.vouched, f"{measure} below the threshold")
        self.refuse_duplicates()

    def counts(self) -> dict[str, Counter[str]]:
        """The number of refused candidates by kind and reason."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for kind in np.unique(self.kinds):
            codes, numbers = np.unique(self.why[self.kinds == kind], return_counts=True)
            for code, number in zip(codes, numbers, strict=True):
                if code:
                    found[str(kind)][self.reasons[code]] += int(number)
        return found


def _strings(table: pa.Table, column: str) -> np.ndarray:
    return np.asarray(table[column].to_numpy(zero_copy_only=False), dtype=str)
