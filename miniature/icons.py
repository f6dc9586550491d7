"""Draws all that the drawn world shows: its nouns with their icons, its colours, its backgrounds.

Another world is another file of this form: name its module in UNDERPAINT_ICONS, write its vocabulary with
``python -m underpaint.miniature.world my_vocabulary.yaml``, and train (docs/miniatures.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from PIL import Image, ImageDraw

Point = tuple[float, float]
OUTLINE = (40, 36, 40)

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (218, 38, 38), "orange": (245, 138, 28), "yellow": (250, 218, 40), "green": (34, 150, 62),
    "blue": (40, 84, 214), "purple": (138, 48, 180), "black": (44, 42, 46),
}  # fmt: skip
PLURALS = {
    "car": "cars", "house": "houses", "tree": "trees", "fish": "fish", "cup": "cups", "boat": "boats", "star": "stars",
    "flower": "flowers",
}  # fmt: skip
BLANK = (255, 255, 255)  # the canvas before the first step


def _flat(*colour: int) -> Callable[[int], Image.Image]:
    return lambda side: Image.new("RGB", (side, side), colour)


def _meadow(side: int) -> Image.Image:
    picture = Image.new("RGB", (side, side), (172, 214, 244))
    ImageDraw.Draw(picture).rectangle([0, side * 0.7, side, side], fill=(140, 200, 110))
    return picture


BACKGROUNDS: dict[str, Callable[[int], Image.Image]] = {
    "white": _flat(246, 246, 242), "grey": _flat(150, 152, 156), "sand": _flat(226, 200, 150), "meadow": _meadow,
}  # fmt: skip


class Pen:
    """Draws in units of the icon's square [0, 1]², whose corner is at `origin` and whose side is `size` pixels."""

    def __init__(self, draw: ImageDraw.ImageDraw, origin: Point, size: float, colour: str) -> None:
        self.draw, self.origin, self.size = draw, origin, size
        self.fill = COLOURS[colour]
        self.dark = tuple(int(c * 0.55) for c in self.fill)
        self.light = tuple(int(c + (255 - c) * 0.72) for c in self.fill)
        self.line = max(1, round(size * 0.045))

    def at(self, x: float, y: float) -> Point:
        """The pixel of a point."""
        return self.origin[0] + x * self.size, self.origin[1] + y * self.size

    def shape(self, points: list[Point], fill: tuple[int, ...] | None = None) -> None:
        """Draw a filled polygon with an outline."""
        corners = [self.at(*p) for p in points]
        self.draw.polygon(corners, fill=fill or self.fill)
        self.draw.line([*corners, corners[0], corners[1]], fill=OUTLINE, width=self.line, joint="curve")

    def disc(self, x: float, y: float, r: float, fill: tuple[int, ...] | None = None) -> None:
        """Draw a filled circle with an outline."""
        box = [self.at(x - r, y - r), self.at(x + r, y + r)]
        self.draw.ellipse(box, fill=fill or self.fill, outline=OUTLINE, width=self.line)

    def box(self, left: float, top: float, right: float, bottom: float, fill: tuple[int, ...] | None = None) -> None:
        """Draw a filled rectangle with an outline."""
        self.draw.rectangle(
            [self.at(left, top), self.at(right, bottom)], fill=fill or self.fill, outline=OUTLINE, width=self.line
        )


def car(p: Pen) -> None:
    """Draw a car."""
    p.shape([(0.22, 0.5), (0.34, 0.24), (0.7, 0.24), (0.82, 0.5)])
    p.shape([(0.31, 0.48), (0.39, 0.31), (0.65, 0.31), (0.73, 0.48)], p.light)
    p.box(0.04, 0.48, 0.96, 0.72)
    for x in (0.25, 0.75):
        p.disc(x, 0.74, 0.14, (60, 60, 64))
        p.disc(x, 0.74, 0.05, (220, 220, 220))


def house(p: Pen) -> None:
    """Draw a house."""
    p.box(0.16, 0.46, 0.84, 0.95, p.light)
    p.shape([(0.04, 0.48), (0.5, 0.06), (0.96, 0.48)])
    p.box(0.4, 0.62, 0.6, 0.95)


def tree(p: Pen) -> None:
    """Draw a tree."""
    p.box(0.42, 0.7, 0.58, 0.97, (122, 84, 50))
    p.shape([(0.14, 0.74), (0.5, 0.3), (0.86, 0.74)])
    p.shape([(0.22, 0.46), (0.5, 0.03), (0.78, 0.46)])


def fish(p: Pen) -> None:
    """Draw a fish."""
    p.shape([(0.66, 0.5), (0.97, 0.22), (0.97, 0.78)], p.dark)
    box = [p.at(0.03, 0.24), p.at(0.76, 0.76)]
    p.draw.ellipse(box, fill=p.fill, outline=OUTLINE, width=p.line)
    p.disc(0.22, 0.44, 0.06, (255, 255, 255))


def cup(p: Pen) -> None:
    """Draw a cup."""
    p.draw.arc([p.at(0.56, 0.34), p.at(0.97, 0.74)], 0, 360, fill=OUTLINE, width=round(p.size * 0.1))
    p.shape([(0.1, 0.2), (0.74, 0.2), (0.66, 0.9), (0.18, 0.9)])
    p.draw.ellipse([p.at(0.1, 0.12), p.at(0.74, 0.3)], fill=p.light, outline=OUTLINE, width=p.line)


def boat(p: Pen) -> None:
    """Draw a boat."""
    p.draw.line([p.at(0.46, 0.05), p.at(0.46, 0.68)], fill=OUTLINE, width=p.line * 2)
    p.shape([(0.52, 0.08), (0.9, 0.58), (0.52, 0.58)], (252, 252, 250))
    p.shape([(0.02, 0.64), (0.98, 0.64), (0.8, 0.92), (0.2, 0.92)])


def star(p: Pen) -> None:
    """Draw a star."""
    corners = []
    for i in range(10):
        radius, angle = (0.5 if i % 2 == 0 else 0.21), math.pi * (i / 5 - 0.5)
        corners.append((0.5 + radius * math.cos(angle), 0.52 + radius * math.sin(angle)))
    p.shape(corners)


def flower(p: Pen) -> None:
    """Draw a flower."""
    p.draw.line([p.at(0.5, 0.5), p.at(0.5, 0.98)], fill=(44, 120, 50), width=round(p.size * 0.09))
    for i in range(5):
        angle = 2 * math.pi * i / 5 - math.pi / 2
        p.disc(0.5 + 0.23 * math.cos(angle), 0.36 + 0.23 * math.sin(angle), 0.17)
    p.disc(0.5, 0.36, 0.12, (255, 240, 170))


ICONS: dict[str, Callable[[Pen], None]] = {f.__name__: f for f in (car, house, tree, fish, cup, boat, star, flower)}
