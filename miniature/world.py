"""The drawn world: renders a scene graph as a picture of two rows of two cells, with one object per cell.

Equal cell, noun, colour and jitter always give equal pixels, so objects that an edit does not touch stay exactly as
they were.
"""

from __future__ import annotations

import os
import random
import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageDraw

from underpaint.schemas.scenes.scene import PLACE, PLACES, SPATIAL, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary

icons = import_module(os.environ.get("UNDERPAINT_ICONS", "underpaint.miniature.icons"))
SIZE = 64  # pixels a side
CELL = 32
ICON = 27
SCALE = 4  # icons are drawn this many times larger, then averaged down
JITTER = 1  # largest shift of an icon, in pixels, in each direction
CELLS = {  # in reading order
    (0, 0): "at the top left",
    (1, 0): "at the top right",
    (0, 1): "at the bottom left",
    (1, 1): "at the bottom right",
}
Cell = tuple[int, int]  # (column, row)


@lru_cache
def vocabulary() -> Vocabulary:
    """The world's vocabulary, from its module of icons."""
    places = [*CELLS.values(), "at the top", "at the bottom", "on the left", "on the right"]
    return Vocabulary(
        nouns={noun: icons.PLURALS[noun] for noun in icons.ICONS},
        attributes={"colour": tuple(icons.COLOURS), "place": tuple(places)},
        backgrounds=tuple(icons.BACKGROUNDS), relations=SPATIAL,
    )  # fmt: skip


class NoRoom(ValueError):
    """The objects do not fit into the cells that their places allow."""


def cells_of(place: str) -> list[Cell]:
    """The cells that a place allows, in reading order; all four for "" and for places that this world does not know."""
    x, y = PLACES.get(place, (None, None))
    return [(c, r) for c, r in CELLS if x in (None, 1, 2 * c) and y in (None, 1, 2 * r)]


def cell_layout(graph: SceneGraph) -> dict[str, list[Cell]]:
    """Give every node `count` cells, the most constrained node first. Raises NoRoom where they do not fit."""
    taken: set[Cell] = set()
    layout: dict[str, list[Cell]] = {}
    for node in sorted(graph.objects, key=lambda o: len(cells_of(o.attributes.get(PLACE, ""))) - o.count):
        free = [c for c in cells_of(node.attributes.get(PLACE, "")) if c not in taken]
        if len(free) < node.count:
            raise NoRoom(f"{node.count} {node.noun} do not fit {node.attributes.get(PLACE, 'the picture')!r}")
        layout[node.id] = free[: node.count]
        taken.update(layout[node.id])
    return layout


def free_cells(graph: SceneGraph) -> set[Cell]:
    """The cells in which nothing stands."""
    return set(CELLS) - {cell for cells in cell_layout(graph).values() for cell in cells}


@lru_cache(maxsize=8)
def background(name: str) -> Image.Image:
    """The empty background at drawing scale; "" is the blank canvas. Raises ValueError for an unknown one."""
    side = SIZE * SCALE
    if not name:
        return Image.new("RGB", (side, side), icons.BLANK)
    if name not in icons.BACKGROUNDS:
        raise ValueError(f"the drawn world has no background {name!r}; it has {', '.join(icons.BACKGROUNDS)}")
    picture: Image.Image = icons.BACKGROUNDS[name](side)
    return picture


def blank() -> Image.Image:
    """The blank canvas, RGB, SIZE×SIZE pixels."""
    return Image.new("RGB", (SIZE, SIZE), icons.BLANK)


@lru_cache(maxsize=20_000)
def _cell_picture(back: str, cell: Cell, noun: str, colour: str, dx: int, dy: int) -> Image.Image:
    x, y, side = cell[0] * CELL * SCALE, cell[1] * CELL * SCALE, CELL * SCALE
    picture = background(back).crop((x, y, x + side, y + side))
    margin = (CELL - ICON) / 2
    origin = ((margin + dx) * SCALE, (margin + dy) * SCALE)
    icons.ICONS[noun](icons.Pen(ImageDraw.Draw(picture), origin, ICON * SCALE, colour))
    return picture.resize((CELL, CELL), Image.Resampling.BOX)


def jitter_of(seed: int, cell: Cell, noun: str) -> tuple[int, int]:
    """The shift (dx, dy), in pixels, of an object in its cell; the same for every picture drawn with the seed."""
    draw = random.Random(f"{seed}/{cell}/{noun}")
    return draw.randint(-JITTER, JITTER), draw.randint(-JITTER, JITTER)


def render(graph: SceneGraph, seed: int = 0) -> Image.Image:
    """Draw a scene, RGB, SIZE×SIZE pixels. Raises NoRoom; ValueError for an unknown noun or background."""
    picture = background(graph.background).resize((SIZE, SIZE), Image.Resampling.BOX)
    layout = cell_layout(graph)
    for node in graph.objects:
        colour = node.attributes.get("colour", "black")
        if node.noun not in icons.ICONS:
            raise ValueError(f"the drawn world has no icon for {node.noun!r}; it has {', '.join(icons.ICONS)}")
        for cell in layout[node.id]:
            tile = _cell_picture(graph.background, cell, node.noun, colour, *jitter_of(seed, cell, node.noun))
            picture.paste(tile, (cell[0] * CELL, cell[1] * CELL))
    return picture


def cell_labels(graph: SceneGraph) -> list[tuple[str, str] | None]:
    """(noun, colour) or None for each cell in reading order: the truth on which a reader is trained."""
    here: dict[Cell, SceneObject] = {cell: graph.node(id) for id, cells in cell_layout(graph).items() for cell in cells}
    nodes = map(here.get, CELLS)
    return [(node.noun, node.attributes.get("colour", "black")) if node else None for node in nodes]


@lru_cache(maxsize=4)
def _tiles(cell: Cell) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str, str]]]:
    """Every tile that this world draws in a cell with seed 0.

    Returns the tiles, float32 (N, 3·CELL²); their squared norms (N,); and what they show: (background, noun, colour).
    """
    rows, shown = [], []
    words = vocabulary()
    x, y = cell[0] * CELL, cell[1] * CELL
    box = (x, y, x + CELL, y + CELL)
    for back in ("", *words.backgrounds):
        rows.append(background(back).resize((SIZE, SIZE), Image.Resampling.BOX).crop(box))
        shown.append((back, "", ""))
        for noun in words.nouns if back else ():
            for colour in words.attributes["colour"]:
                rows.append(_cell_picture(back, cell, noun, colour, *jitter_of(0, cell, noun)))
                shown.append((back, noun, colour))
    tiles = np.stack([np.asarray(r, np.float32).reshape(-1) for r in rows])
    return tiles, np.square(tiles).sum(1), shown


@lru_cache(maxsize=4096)  # drawn pictures share their few hundred tiles
def _nearest(cell: Cell, pixels: bytes) -> tuple[str, str, str]:
    """(background, noun, colour) of the tile that is nearest to a cell's pixels."""
    tiles, norms, shown = _tiles(cell)
    distance = norms - 2 * tiles @ np.frombuffer(pixels, np.uint8).astype(np.float32)  # squared, up to a constant
    return shown[int(distance.argmin())]


def read_picture(picture: Image.Image) -> tuple[list[SceneObject], str]:
    """(single objects in reading order, background) of a picture that was drawn with seed 0."""
    pixels = np.asarray(picture.convert("RGB"))
    objects: list[SceneObject] = []
    backs: list[str] = []
    for cell, place in CELLS.items():
        x, y = cell[0] * CELL, cell[1] * CELL
        back, noun, colour = _nearest(cell, pixels[y : y + CELL, x : x + CELL].tobytes())
        backs.append(back)
        if noun:
            attributes = {"colour": colour, PLACE: place}
            objects.append(SceneObject(id=f"i{len(objects)}", noun=noun, attributes=attributes))
    return objects, max(backs, key=backs.count)


def main(arguments: list[str]) -> int:
    """The command line: write the world's vocabulary to a YAML file, for recipes to name. Returns the exit code."""
    if len(arguments) != 1:
        print("usage: python -m underpaint.miniature.world VOCABULARY.yaml", file=sys.stderr)
        return 2
    words = vocabulary().model_dump(mode="json")
    head = "# The words of a drawn world, written from its icons by `python -m underpaint.miniature.world`.\n"
    Path(arguments[0]).write_text(head + yaml.safe_dump(words, sort_keys=False, width=160))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
