"""What is read of a model's answer: a value, and what had to be bent for it; or why nothing could be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Read(Generic[T_co]):
    """A value read from an answer; `bends` are the kinds of what was bent for it, sorted, each once: "fence", …"""

    value: T_co
    bends: tuple[str, ...] = ()


class AnswerError(ValueError):
    """An answer that cannot be read; `reason` is its kind, which is counted, e.g. "refusal"."""

    def __init__(self, message: str, reason: str = "another form") -> None:
        super().__init__(message)
        self.reason = reason
