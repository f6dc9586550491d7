"""From what a painter returns to a table's bytes, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from PIL import Image

from schemas.picture import decode_picture, encode_picture
from stages.models.roles import ModelUnavailable, Painter, PaintRequest

T = TypeVar("T")
ALIKE = 4  # requests that fail alike, every one of a call, before the model is blamed: two or three may earn it


def paint_all(painter: Painter, requests: Sequence[PaintRequest]) -> list[bytes | Exception]:
    """Paint a batch of requests; each comes back as an encoded picture or as what went wrong with it alone.

    Where the batch as a whole fails, every request is tried once by itself, so one bad row costs itself only.
    """
    painted = each(painter.paint, requests)
    return [p if isinstance(p, Exception) else _encoded(p) for p in painted]


def _encoded(picture: Image.Image) -> bytes | Exception:
    try:
        return encode_picture(picture)
    except (OSError, ValueError) as e:  # truncated or of no use
        return e


def each(call: Callable[[Sequence[T]], list], requests: Sequence[T]) -> list:
    """`call` on all requests; where that raises, on each alone. Answers or exceptions, in order.

    Raises ModelUnavailable where every one of at least `ALIKE` requests fails with the same class of error: a broken
    GPU or an exhausted account is no row's fault.
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


def open_picture(data: bytes) -> Image.Image:
    """The picture as RGB. Raises schemas.picture.PictureError where the bytes are no picture."""
    return decode_picture(data)
