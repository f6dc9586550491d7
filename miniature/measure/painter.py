"""Measures the painter: the independent reader reads its pictures, and they are compared with what was asked."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from underpaint.miniature.edits import EditCase, random_edit
from underpaint.miniature.measure.outcomes import Outcomes
from underpaint.miniature.scenes import HeldOut, random_scene
from underpaint.miniature.weighed_items import look_of
from underpaint.miniature.world import CELLS, cell_labels, render, vocabulary
from underpaint.schemas.scenes.compare import placed
from underpaint.schemas.scenes.edit import Edit, Op, instruct
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import PLACE, SPATIAL, SceneGraph
from underpaint.schemas.scenes.wordings import reword
from underpaint.stages.common.roles import PaintRequest
from underpaint.stages.models.painter import DiffusersPainter

CellLook = tuple[str, str] | None
GROUPS: dict[str, list[tuple[int, ...]]] = {
    "single object": [(1,)],
    "two objects": [(1, 1)],
    "three or four": [(1, 1, 1), (1, 1, 1, 1)],
}
COUNTED: list[tuple[int, ...]] = [(2,), (2, 1), (3,), (3, 1), (4,)]
EDITS = {"add": "add", "modify": "recolour", "remove": "remove", "swap": "replace"}
BARS = {
    "from text, every object right: single object": "≥ 0.95",
    "from text, every object right: two objects": "≥ 0.85",
    "from text, every object right: three or four": "≥ 0.70",
    "from text, relation right, given the objects are": "≥ 0.85",
    "from text, count right (two to four)": "≥ 0.80",
    **{f"edit done: {name}": "≥ 0.85" for name in EDITS.values()},
    "edit: everything else left as it was": "≥ 0.95",
}


def read_looks(eye: Any, pictures: Sequence[Image.Image]) -> list[tuple[list[CellLook], str]]:
    """What the reader sees in every picture: (looks of the four cells in reading order, background)."""
    from underpaint.miniature.trainers import reader
    from underpaint.miniature.trainers.autoencoder import pixels

    read = reader.read_pictures(eye, torch.stack([pixels(p) for p in pictures])).tolist()
    nouns, colours, backgrounds = reader.NOUN_LABELS, reader.COLOUR_LABELS, reader.BACKGROUND_LABELS
    return [
        (
            [None if nouns[r[i]] == "nothing" else (nouns[r[i]], colours[r[4 + i]]) for i in range(4)],
            backgrounds[r[8]],
        )
        for r in read
    ]


def painting(rng: random.Random, counts: tuple[int, ...]) -> EditCase:
    """The case of a whole random scene, to be painted from its text alone."""
    scene = random_scene(rng, counts)
    edit = Edit(op=Op.PAINT, scene=scene)
    text = reword(instruct(SceneGraph(), edit, vocabulary()), rng.randrange(6))
    return EditCase("paint", None, scene, edit, text)


def paint_cases(painter: DiffusersPainter, cases: Sequence[tuple[EditCase, int]]) -> list[Image.Image]:
    """Paint the cases. A case's seed is used both for the picture before and by the painter."""
    requests = [
        PaintRequest(render(c.before, s) if c.before else None, c.instruction, describe(c.after, vocabulary()), s)
        for c, s in cases
    ]
    return painter.paint(requests)


def measure(painter: DiffusersPainter, eye: Any, n: int, rates: dict[str, float]) -> Outcomes:
    """Measure `n` cases for every group of scenes and kind of edit. Adds the rate in pictures per second to `rates`."""
    rng = HeldOut("evaluate/painter")
    found: Outcomes = {name: [] for name in BARS}
    texts = {name: [painting(rng, rng.choice(counts)) for _ in range(n)] for name, counts in GROUPS.items()}
    counting = [painting(rng, rng.choice(COUNTED)) for _ in range(n)]
    edits = {kind: [random_edit(rng, kind) for _ in range(n)] for kind in EDITS}
    cases = [(c, rng.randrange(1 << 30)) for part in (*texts.values(), counting, *edits.values()) for c in part]
    start = time.time()
    pictures = paint_cases(painter, cases)
    rates["pictures a second"] = round(len(pictures) / (time.time() - start), 2)
    seen = iter(read_looks(eye, pictures))
    for name, part in texts.items():
        for case in part:
            _objects(found, f"from text, every object right: {name}", case, next(seen)[0])
    for case in counting:
        cells, _ = next(seen)
        several = next(o for o in case.after.objects if o.count > 1)
        found["from text, count right (two to four)"].append(float(cells.count(look_of(several)) == several.count))
    for kind, edited in edits.items():
        for case in edited:
            _edited(found, EDITS[kind], case, *next(seen))
    return found


def _objects(found: Outcomes, measure: str, case: EditCase, cells: list[CellLook]) -> None:
    right = Counter(cells) == Counter(cell_labels(case.after))
    found[measure].append(float(right))
    if not right:
        return
    shown = {look: place for look, place in zip(cells, CELLS.values(), strict=True) if look}
    for a in case.after.objects:
        for b in case.after.objects:
            one, other = (o.with_attribute(PLACE, shown[look_of(o)]) for o in (a, b))
            holds = [p for p in SPATIAL if placed(a, b, p)]
            found["from text, relation right, given the objects are"] += [
                float(bool(placed(one, other, p))) for p in holds
            ]


def _edited(found: Outcomes, name: str, case: EditCase, cells: list[CellLook], background: str) -> None:
    """Count whether the edited cells show what was asked, and whether all else is as it was before."""
    assert case.before is not None
    old, new = cell_labels(case.before), cell_labels(case.after)
    changed = [i for i in range(4) if old[i] != new[i]]
    found[f"edit done: {name}"].append(float(all(cells[i] == new[i] for i in changed)))
    rest = all(cells[i] == old[i] for i in range(4) if i not in changed)
    found["edit: everything else left as it was"].append(float(rest and background == case.before.background))
