"""The roles of models: what a stage may ask of a painter, a writer, a judge or a scorer. Recipes assign models to them.

Every request carries its own seed, so an answer does not depend on what it was batched with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from PIL import Image


class ModelUnavailable(Exception):
    """The model answers nothing at all (no connection, key refused): no row is to blame, so the lot is not made."""


@dataclass(frozen=True)
class PaintRequest:
    """Carry out `instruction` on `previous` (RGB; None is the blank canvas). `description` is the scene after it."""

    previous: Image.Image | None
    instruction: str
    description: str
    seed: int


@dataclass(frozen=True)
class AskRequest:
    """A question to a writer or a judge.

    `text` is the rendered template; `context` holds the variables it was rendered from, which the symbolic model reads
    instead. `temperature` 0 is greedy.
    """

    task: str  # the template's task, e.g. "write"; a key of TASKS in stages/prompting/tasks.py
    text: str
    seed: int
    picture: Image.Image | None = None
    temperature: float = 0.0
    context: Mapping[str, Any] = field(default_factory=dict)


class Painter(Protocol):
    """The painter: executes an instruction on a picture."""

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        """One RGB picture per request, in order."""
        ...


class Speaker(Protocol):
    """The writer or the judge; one model may be both."""

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        """One answer per request, in order, without the words of the request."""
        ...


class Scorer(Protocol):
    """The scorer: embeds pictures and texts in one space, where the cosine says how well they match."""

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        """Unit vectors of RGB pictures, float32 (N, D)."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of texts, float32 (N, D)."""
        ...


T = TypeVar("T")


ALIKE = 4  # if this many requests of a call, and all of them, fail alike, the model is to blame and not the requests


def each(call: Callable[[Sequence[T]], list], requests: Sequence[T]) -> list:
    """Call a model with all requests; if that raises, with each alone. Returns answers or exceptions, in order.

    Raises ModelUnavailable if there are at least `ALIKE` requests and all fail with the same class of error: a broken
    GPU or an exhausted account is not the fault of a row.
    """
    try:
        answers = call(requests) if requests else []
        if len(answers) != len(requests):
            raise RuntimeError(f"the model gave {len(answers)} answers to {len(requests)} requests")
        return answers
    except (MemoryError, KeyboardInterrupt, ModelUnavailable):
        raise
    except Exception as whole:
        if len(requests) == 1:
            return [whole]
        alone = [each(call, [r])[0] for r in requests]
        if len(alone) >= ALIKE and all(isinstance(a, Exception) and type(a) is type(alone[0]) for a in alone):
            raise ModelUnavailable(
                f"each of {len(alone)} requests failed: {type(alone[0]).__name__}: {alone[0]}"
            ) from alone[0]
        return alone
