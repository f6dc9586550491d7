"""A painter of words: its picture shows the description that it painted, for people to read and for a judge to decode.

Now and then it paints another scene, wrong in one way, as painters do; the request's seed alone decides.
"""

from __future__ import annotations

import random
import re
import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.strangers.scenes import understood, vocabulary, worded
from underpaint.schemas.scenes.critique import Side
from underpaint.stages.common.roles import PaintRequest
from underpaint.stages.planning.planted_faults import PLANTERS

SIZE, CELL = 384, 4  # pixels: the picture's side, and the side of a square that holds one bit
ROW = SIZE // CELL // 8  # bytes a row of squares
COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"]


def write(text: str) -> Image.Image:
    """An RGB picture that shows a text, and holds it in black and white squares along its lower edge."""
    picture = Image.new("RGB", (SIZE, SIZE), "ivory")
    ImageDraw.Draw(picture).multiline_text(
        (10, 10), "\n".join(textwrap.wrap(text, 38)), "black", ImageFont.load_default(17)
    )
    data = text.encode()
    data = len(data).to_bytes(2, "big") + data
    rows = -(-len(data) // ROW)
    bits = np.unpackbits(np.frombuffer(data.ljust(rows * ROW, b"\0"), np.uint8)).reshape(rows, ROW * 8)
    squares = Image.fromarray(bits * 255).resize((SIZE, rows * CELL), Image.Resampling.NEAREST)
    picture.paste(squares.convert("RGB"), (0, SIZE - rows * CELL))
    mark = Image.new("RGB", (SIZE, CELL), "red")
    picture.paste(mark, (0, SIZE - (rows + 1) * CELL))
    return picture


def shown(picture: Image.Image) -> str:
    """The text that a picture of `write` shows. Raises ValueError for any other picture."""
    pixels = np.asarray(picture.convert("RGB").resize((SIZE, SIZE), Image.Resampling.NEAREST)).astype(int)
    middle = pixels[CELL // 2 :: CELL, CELL // 2 :: CELL]
    marks = np.flatnonzero((middle[:, :, 0] > 180).all(1) & (middle[:, :, 1] < 80).all(1))
    if not len(marks):
        raise ValueError("not a picture of words")
    data = np.packbits(middle[marks[-1] + 1 :, :, 1].ravel() > 127).tobytes()
    return data[2 : 2 + int.from_bytes(data[:2], "big")].decode()


class WordPainter:
    """Plays the painter; a share `errs` of its pictures shows a mistake."""

    def __init__(self, errs: float) -> None:
        self.errs = errs

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        """One RGB picture a request."""
        return [write(self._told(r.description, random.Random(r.seed))) for r in requests]

    def _told(self, text: str, rng: random.Random) -> str:
        if rng.random() >= self.errs or text.startswith("A plain "):
            return text
        scene = understood(text)
        for planters in rng.sample(list(PLANTERS[Side.PICTURE].values()), len(PLANTERS[Side.PICTURE])):
            if scene.objects and (wrong := planters[0](scene, rng, vocabulary())):
                return worded(wrong, rng.randrange(9))
        return text


class WordScorer:
    """Plays the scorer: a text or a picture is the bag of its words."""

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        """Unit vectors, float32 (N, 512)."""
        return self.embed_texts([shown(p) for p in pictures])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 (N, 512)."""
        found = np.zeros((len(texts), 512), np.float32)
        for row, text in zip(found, texts, strict=True):
            for word in re.findall(r"[a-z]+", text.lower()):
                row[random.Random(word).randrange(512)] += 1
        unit: np.ndarray = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
        return unit
