"""Reads a critique from a judge's answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from underpaint.schemas.scenes.critique import Critique, parse_critique
from underpaint.stages.answers.reading import Read


class Said(Protocol):
    """A model's words."""

    @property
    def text(self) -> str: ...


def read_critique(answer: Said, kinds: Sequence[str] = ()) -> Read[Critique]:
    """The critique in an answer. Raises CritiqueError."""
    return Read(parse_critique(answer.text, kinds))
