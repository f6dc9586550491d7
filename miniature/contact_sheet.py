"""Writes docs/painter.png, a sheet of unselected pictures: ``python -m underpaint.miniature.contact_sheet``.

It shows the first 48 held-out cases: whole scenes from text, and edits with the pictures before and after.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageDraw, ImageFont

from underpaint.miniature.edits import EditCase, random_edit
from underpaint.miniature.evaluate import STEPS
from underpaint.miniature.measure.painter import EDITS, GROUPS, CellLook, paint_cases, painting, read_looks
from underpaint.miniature.scenes import HeldOut
from underpaint.miniature.train import CHECKPOINTS
from underpaint.miniature.world import SIZE, cell_labels, render
from underpaint.stages.models.painter import DiffusersPainter

COLUMNS, SIDE, GAP, LINES = 6, 112, 8, 5
WIDTH, HEIGHT = 2 * SIDE + 2 * GAP, SIDE + GAP + LINES * 13


def cases(n: int) -> list[tuple[EditCase, int]]:
    """The first `n` held-out cases with their seeds, whole scenes and edits in turn."""
    rng = HeldOut("evaluate/contact sheet")
    found = []
    for i in range(n):
        groups = list(GROUPS.values())
        case = random_edit(rng, list(EDITS)[i // 2 % 4]) if i % 2 else painting(rng, rng.choice(groups[i // 2 % 3]))
        found.append((case, rng.randrange(1 << 30)))
    return found


def sheet(
    shown: list[tuple[EditCase, int]], painted: list[Image.Image], wrong: list[bool], words: list[str]
) -> Image.Image:
    """One tile per case: picture before (if any), picture after, text; a red frame where the reader finds an error."""
    page = Image.new("RGB", (COLUMNS * WIDTH, -(-len(shown) // COLUMNS) * HEIGHT), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=11)
    for i, ((case, seed), picture, error) in enumerate(zip(shown, painted, wrong, strict=True)):
        x, y = i % COLUMNS * WIDTH, i // COLUMNS * HEIGHT
        if case.before is not None:
            page.paste(render(case.before, seed).resize((SIDE, SIDE), Image.Resampling.NEAREST), (x, y))
        at = (x + SIDE + 4, y)
        page.paste(picture.resize((SIDE, SIDE), Image.Resampling.NEAREST), at)
        if error:
            draw.rectangle([at[0], y, at[0] + SIDE - 1, y + SIDE - 1], outline="red", width=2)
        draw.text((x, y + SIDE + 2), textwrap.fill(f"{i + 1}. {words[i]}", 42), "black", font)
    return page


def main(
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("docs/painter.png"),
    number: Annotated[int, typer.Option(help="How many.")] = 48,
    checkpoints: Annotated[Path, typer.Option(help="Folder of the checkpoints.")] = CHECKPOINTS,
    readings: Annotated[bool, typer.Option(help="Say what the reader reads, not what was asked: to check it.")] = False,
) -> None:
    """Paint the first held-out cases and put all of them on one sheet."""
    from underpaint.miniature.trainers import reader

    shown = cases(number)
    painted = paint_cases(DiffusersPainter(checkpoints / "painter", size=SIZE, steps=STEPS, batch=32), shown)
    seen = read_looks(reader.load(checkpoints / "reader"), painted)
    wrong = [
        cells != cell_labels(case.after) or back != case.after.background
        for (case, _), (cells, back) in zip(shown, seen, strict=True)
    ]
    words = [_reading(*look) if readings else case.instruction for look, (case, _) in zip(seen, shown, strict=True)]
    sheet(shown, painted, wrong, words).quantize(256).save(out, optimize=True)
    numbers = [str(i) for i, error in enumerate(wrong, 1) if error]
    print(f"{out}: {number} pictures, {sum(wrong)} of them with an error by the reader: {', '.join(numbers) or 'none'}")


def _reading(cells: list[CellLook], background: str) -> str:
    """The four cells in reading order, and the background."""
    return ", ".join([*(" ".join(reversed(look)) if look else "nothing" for look in cells), background])


if __name__ == "__main__":
    typer.run(main)
