"""A share of cases with Wilson's 95% interval: the form of every rate in the reports."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.96  # 95%


@dataclass(frozen=True)
class Share:
    """`hits` of `n` cases."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        """The share, in [0, 1]; nan where there were no cases."""
        return self.hits / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the share, as (low, high); (0, 1) where there were no cases."""
        if self.n == 0:
            return 0.0, 1.0
        p, spread = self.value, Z * Z / self.n
        centre, half = p + spread / 2, Z * math.sqrt(p * (1 - p) / self.n + spread / (4 * self.n))
        return max(0.0, (centre - half) / (1 + spread)), min(1.0, (centre + half) / (1 + spread))

    def __str__(self) -> str:
        if self.n == 0:
            return "no cases"
        low, high = self.interval
        return f"{self.value:.2f} ({low:.2f}–{high:.2f}) of {self.n}"

    def to_dict(self) -> dict[str, float | int | None]:
        """{"share", "low", "high", "n"}: the share (None where n is 0) and its interval, rounded to four digits."""
        low, high = (round(x, 4) for x in self.interval)
        return {"share": round(self.value, 4) if self.n else None, "low": low, "high": high, "n": self.n}
