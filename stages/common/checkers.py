"""Who checked what a sample's texts say: the grammar, a model where the grammar cannot read them, or nobody."""

from __future__ import annotations

from typing import Literal, get_args

CheckedBy = Literal["grammar", "model", "nobody"]
CHECKERS: tuple[CheckedBy, ...] = get_args(CheckedBy)  # the surest first


def weakest(*checked: str) -> str:
    """The least sure of several checkers: a sample is checked as well as the worst of its parts. "grammar" for none."""
    return max(checked, key=CHECKERS.index, default=CHECKERS[0])
