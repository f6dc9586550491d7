"""The roles a stage may ask for. A recipe names models and assigns them; a stage sees only these.

Every request carries its own seed, so an answer does not depend on what it was batched with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, TypedDict, TypeVar

import numpy as np
from PIL import Image

from underpaint.schemas.corpus.picture import picture_sha256
from underpaint.schemas.scenes.scene import SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary


class ModelUnavailable(Exception):
    """The model answers nothing at all (no connection, key refused): no row is to blame, so the lot is not made."""


@dataclass(frozen=True)
class PaintRequest:
    """Carry out `instruction` on `previous` (RGB; None is the blank canvas). `description` is the scene after it."""

    previous: Image.Image | None
    instruction: str
    description: str
    seed: int

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of the request that can change its answer."""
        return _digest("paint", self.instruction, self.description, self.seed, _shown(self.previous))


@dataclass(frozen=True)
class Turn:
    """One message of a conversation; its pictures come before its words."""

    role: Literal["system", "user", "assistant"]
    text: str
    pictures: tuple[Image.Image, ...] = ()


@dataclass(frozen=True)
class AskRequest:
    """A question to a writer or a judge.

    `text` is the rendered template; `context` holds the variables it was rendered from, which the symbolic model reads
    instead. `temperature` 0 is greedy. `turns` are worked examples, before the question; `follow_up` is what was said
    after it: an answer that could not be read, and the words that tell the model why.
    """

    task: str  # the template's task, e.g. "write"; a key of TASKS in stages/prompting/tasks.py
    text: str
    seed: int
    pictures: tuple[Image.Image, ...] = ()
    temperature: float = 0.0
    context: Mapping[str, Any] = field(default_factory=dict)
    system: str = ""
    turns: tuple[Turn, ...] = ()
    schema: Mapping[str, Any] | None = None  # JSON Schema of the answer, for models that can be held to one
    follow_up: tuple[Turn, ...] = ()

    @property
    def picture(self) -> Image.Image | None:
        """The picture that is asked about: the last one, or None."""
        return self.pictures[-1] if self.pictures else None

    def messages(self) -> list[Turn]:
        """The whole conversation: what the system says, worked examples, the question, what followed it."""
        system = (Turn("system", self.system),) if self.system else ()
        return [*system, *self.turns, Turn("user", self.text, self.pictures), *self.follow_up]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of the request that can change its answer."""
        said = [(turn.role, turn.text, *map(_shown, turn.pictures)) for turn in self.messages()]
        return _digest(self.task, said, self.seed, self.temperature, self.schema)


@dataclass(frozen=True)
class Answer:
    """What a model said, and how its answer ended. A model that knows no more than its words may give these alone."""

    text: str
    cut: bool = False  # it ended at the limit of tokens, not by itself
    refused: str = ""  # the words with which the server itself refused, where it says so apart from the answer
    logprobs: tuple[tuple[str, float], ...] = ()  # (token's text, ln of its probability), where the model gives them


def answer_of(said: Answer | str) -> Answer:
    """The answer of a model that may have given its words alone."""
    return said if isinstance(said, Answer) else Answer(said)


def _shown(picture: Image.Image | None) -> str:
    return picture_sha256(picture.tobytes()) if picture else ""


def _digest(*said: Any) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class Painter(Protocol):
    """Paints and edits pictures."""

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        """One RGB picture per request, in order."""


class Speaker(Protocol):
    """The writer or the judge; one model may be both."""

    def ask(self, requests: Sequence[AskRequest]) -> Sequence[Answer | str]:
        """One answer per request, in order, without the words of the request."""


class Scorer(Protocol):
    """Embeds pictures and texts in one space."""

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        """Unit vectors of RGB pictures, float32 (N, D)."""

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of texts, float32 (N, D)."""


class Renderer(Protocol):
    """Draws scenes, and knows what its pictures show; see `stages.models.drawn.DrawnPainter`."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The words for all it can draw."""

    def render(self, scene: SceneGraph) -> Image.Image:
        """An RGB picture. Raises ValueError where the scene does not fit it."""

    def read(self, picture: Image.Image) -> tuple[list[SceneObject], str]:
        """What a picture that it rendered shows: the objects one by one, with their places, and the background."""


class Models(TypedDict, total=False):
    """The models of a stage by role; only the roles that the stage asks for are there, and of these who is cast."""

    painter: Painter
    sketcher: Painter
    writer: Speaker
    judge: Speaker
    arbiter: Speaker
    scorer: Scorer
    renderer: Renderer


Asked = TypeVar("Asked")
Given = TypeVar("Given")
ALIKE = 4  # requests that fail alike, every one of a call, before the model is blamed: two or three may earn it


def each(call: Callable[[Sequence[Asked]], Sequence[Given]], requests: Sequence[Asked]) -> Sequence[Given | Exception]:
    """`call` on all requests; where that raises, on each alone. Answers or exceptions, in order.

    Raises ModelUnavailable if there are at least `ALIKE` requests and all fail with the same class of error: a broken
    GPU or an exhausted account is not the fault of a row.
    """
    try:
        answers = call(requests) if requests else []
        if len(answers) != len(requests):
            raise RuntimeError(f"the model gave {len(answers)} answers to {len(requests)} requests")
        return [*answers]
    except (MemoryError, KeyboardInterrupt, ModelUnavailable):
        raise
    except Exception as whole:
        if len(requests) == 1:
            return [whole]
        alone = [each(call, [r])[0] for r in requests]
        if len(alone) >= ALIKE and all(isinstance(a, Exception) and type(a) is type(alone[0]) for a in alone):
            first = alone[0]
            assert isinstance(first, Exception)
            raise ModelUnavailable(f"each of {len(alone)} requests failed: {type(first).__name__}: {first}") from first
        return alone
