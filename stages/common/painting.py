"""Paints several pictures per request and keeps the one nearest to its description (best of N)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from underpaint.schemas.corpus.picture import decode_picture, encode_picture
from underpaint.stages.common.roles import Painter, PaintRequest, each
from underpaint.stages.common.stage import Context


@dataclass(frozen=True)
class Painted:
    """The picture kept. `scores` are the CLIP cosines of all that were painted; empty where only one was."""

    picture: bytes
    seed: int
    scores: tuple[float, ...] = ()


def paint_best(context: Context, requests: Sequence[PaintRequest], drafts: int) -> list[Painted | Exception]:
    """Paint every request `drafts` times, each with its own seed; the highest cosine wins, the first on a tie.

    Needs the scorer if `drafts` is above 1. A request has its exception in the result if none of its pictures was
    painted.
    """
    if drafts == 1:
        pictures = paint_all(context.models["painter"], requests)
        return [p if isinstance(p, Exception) else Painted(p, r.seed) for r, p in zip(requests, pictures, strict=True)]
    wanted = [
        r if n == 0 else replace(r, seed=context.seed_for("draft", r.seed, n)) for r in requests for n in range(drafts)
    ]
    pictures = paint_all(context.models["painter"], wanted)
    good = {i: p for i, p in enumerate(pictures) if isinstance(p, bytes)}
    values = dict(zip(good, _cosines(context, [wanted[i] for i in good], list(good.values())), strict=True))
    found: list[Painted | Exception] = []
    for start in range(0, len(wanted), drafts):
        whole = [i for i in range(start, start + drafts) if i in good]
        if not whole:
            found.append(pictures[start])  # type: ignore[arg-type]
            continue
        best = max(whole, key=lambda i: values[i])
        found.append(Painted(good[best], wanted[best].seed, tuple(values[i] for i in whole)))
    return found


def _cosines(context: Context, requests: Sequence[PaintRequest], pictures: Sequence[bytes]) -> list[float]:
    if not pictures:
        return []
    shown = context.models["scorer"].embed_pictures([decode_picture(p) for p in pictures])
    texts = context.models["scorer"].embed_texts([r.description for r in requests])
    return [float(x) for x in np.einsum("nd,nd->n", shown, texts)]


def paint_all(painter: Painter, requests: Sequence[PaintRequest]) -> list[bytes | Exception]:
    """Paint a batch of requests. Each gives an encoded picture, or the exception of that request.

    If the batch as a whole fails, every request is tried once by itself, so that one bad request loses no other.
    """
    painted = each(painter.paint, requests)
    return [p if isinstance(p, Exception) else _encoded(p) for p in painted]


def _encoded(picture: Image.Image) -> bytes | Exception:
    try:
        return encode_picture(picture)
    except (OSError, ValueError) as e:  # a truncated or unusable picture
        return e
