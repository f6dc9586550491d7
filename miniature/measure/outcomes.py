"""Shares of outcomes with their 95% intervals, and the bars that they must meet."""

from __future__ import annotations

from dataclasses import dataclass

from underpaint.schemas.interval import Share

Outcomes = dict[str, list[float]]  # by measure, the outcome (1 or 0) of each case


@dataclass(frozen=True)
class Figure:
    """One row of the table. `low` and `high` bound the value with 95% confidence."""

    model: str
    measure: str
    value: float
    low: float
    high: float
    cases: int
    bar: str = ""  # e.g. "≥ 0.95"; "" where none is set

    @property
    def reached(self) -> bool:
        """Whether the value meets the bar; true where there is none."""
        return all(_meets(self.value, bound) for bound in self.bar.split(", ") if bound)


def _meets(value: float, bound: str) -> bool:
    sign, _, limit = bound.partition(" ")
    return value >= float(limit) if sign == "≥" else value <= float(limit)


def figures(model: str, found: Outcomes, bars: dict[str, str]) -> list[Figure]:
    """The share of every measure as a figure, in the order of `found`."""
    rows = []
    for measure, outcomes in found.items():
        right, n = sum(outcomes), len(outcomes)
        low, high = Share(int(right), n).interval
        rows.append(
            Figure(model, measure, round(right / max(n, 1), 4), round(low, 4), round(high, 4), n, bars.get(measure, ""))
        )
    return rows
