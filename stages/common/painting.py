"""From requests to encoded pictures; of several painted for one request the one nearest to its description is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from underpaint.schemas.corpus.picture import decode_picture, encode_picture
from underpaint.stages.common.roles import Painter, PaintRequest, each
from underpaint.stages.common.rows import Floats32, PictureColumns
from underpaint.stages.common.stage import Context


class Painted(PictureColumns):
    """The picture kept. `scores` are the CLIP cosines of all that were painted; empty where only one was."""

    scores: Floats32


def paint_best(context: Context[Any], requests: Sequence[PaintRequest], drafts: int) -> list[Painted | Exception]:
    """Paint every request `drafts` times, with seeds of their own; the highest cosine wins, the first on a tie.

    Needs the scorer if `drafts` is above 1. A request has its exception in the result if none of its pictures was
    painted.
    """
    wanted = [variant for r in requests for variant in variants(context, r, drafts)]
    pictures = paint_all(context.models["painter"], wanted)
    good = {i: p for i, p in enumerate(pictures) if isinstance(p, bytes)}
    values = dict(zip(good, _cosines(context, wanted, good), strict=True)) if drafts > 1 else {}
    found: list[Painted | Exception] = []
    for start in range(0, len(wanted), drafts):
        whole = [i for i in range(start, start + drafts) if i in good]
        first = pictures[start]
        if not whole and isinstance(first, Exception):
            found.append(first)
            continue
        best = max(whole, key=lambda i: values.get(i, 0.0))
        scores = [values[i] for i in whole if i in values]
        found.append({"picture": good[best], "seed": wanted[best].seed, "scores": scores})
    return found


def variants(context: Context[Any], request: PaintRequest, drafts: int) -> list[PaintRequest]:
    """The requests that are sent for one, each with a seed of its own; the first is the request as it is."""
    others = [replace(request, seed=context.seed_for("draft", request.seed, n)) for n in range(1, drafts)]
    return [request, *others]


def _cosines(context: Context[Any], requests: Sequence[PaintRequest], pictures: dict[int, bytes]) -> list[float]:
    if not pictures:
        return []
    shown = context.models["scorer"].embed_pictures([decode_picture(p) for p in pictures.values()])
    texts = context.models["scorer"].embed_texts([requests[i].description for i in pictures])
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
