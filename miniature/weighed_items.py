"""Reads the items that a critique weighs as plain values, from which the speaker's auxiliary heads learn."""

from __future__ import annotations

import re
from dataclasses import dataclass

from underpaint.miniature.dialogues import Dialogue
from underpaint.miniature.world import CELLS, cell_labels, vocabulary
from underpaint.schemas.scenes.compare import look, match
from underpaint.schemas.scenes.grammar import NUMBERS, read
from underpaint.schemas.scenes.inspection import AS_ASKED, NOT_ASKED, NOT_SO, NOT_THERE, TO_COME, observed_scene
from underpaint.schemas.scenes.scene import PLACE, SceneObject

Look = tuple[str, str]  # noun and colour; empty where nothing is wanted


@dataclass(frozen=True)
class WeighedItem:
    """An observed item of a critique: whether it is a fault, what it is (`own`), and what is wanted instead.

    `own` and `wanted` are None for items that are no object or were not observed. `places` and `counts` are pairs (its
    own, the wanted one); `ends` are the places of a relation's subject and object; None where they do not apply.
    """

    wrong: bool
    own: Look | None = None
    wanted: Look | None = None
    places: tuple[str, str] | None = None
    counts: tuple[int, int] | None = None
    ends: tuple[str, str] | None = None


def weighed_items(d: Dialogue) -> list[WeighedItem]:
    """The items of a dialogue's critique, in order."""
    assert d.critique is not None
    items = d.critique.observed
    return _weighed_picture(d, items) if d.task == "critique_picture" else [_weighed_text(d, item) for item in items]


def _weighed_picture(d: Dialogue, items: tuple[str, ...]) -> list[WeighedItem]:
    """Compare objects' looks with what the description wants in their cells, places and counts with counterparts."""
    wanted = dict(zip(CELLS.values(), cell_labels(d.prompt), strict=True))
    seen = observed_scene(list(d.shown.objects), "")
    partners = {look(mine): (mine, theirs) for mine, theirs in match(seen.objects, d.prompt.objects)}
    found = []
    for node, item in zip(d.shown.objects, items, strict=False):
        mine, theirs = partners[look(node)]
        place = node.attributes[PLACE]
        asked = (theirs.attributes.get(PLACE, ""), theirs.count) if theirs else ("", 0)
        found.append(
            WeighedItem(
                not item.endswith(AS_ASKED), look_of(node), wanted[place] or ("", ""),
                (place, asked[0]), (mine.count, asked[1]),
            )
        )  # fmt: skip
    return found + [WeighedItem(not item.endswith(AS_ASKED)) for item in items[len(found) :]]


def _weighed_text(d: Dialogue, item: str) -> WeighedItem:
    words, _, how = item.rpartition(": ")
    wrong = not item.endswith((AS_ASKED, TO_COME))
    if relation := RELATION.fullmatch(words):
        said = read(d.context["description"], vocabulary())
        place = {look_of(o): o.attributes.get(PLACE, "") for o in said.objects}
        subject, object = (place.get(_look(end)) for end in relation.groups())
        return WeighedItem(wrong, ends=None if subject is None or object is None else (subject, object))
    if item.endswith((TO_COME, NOT_SO, NOT_THERE)) or words.endswith(" background"):
        return WeighedItem(wrong)
    own, count = _look(words), _count(words)
    if item.endswith(AS_ASKED):
        return WeighedItem(wrong, own, own, counts=(count, count))
    if item.endswith(NOT_ASKED):
        return WeighedItem(wrong, own, ("", ""), counts=(count, 0))
    return WeighedItem(wrong, own, _look(how), counts=(count, _count(how)))


RELATION = re.compile(r"(?:step: )?(the .+?) (?:is|are) (?:to the (?:left|right) of|above|below) (the .+)")


def look_of(node: SceneObject) -> Look:
    """The noun and the colour of a node."""
    return node.noun, node.attributes["colour"]


def _look(words: str) -> Look:
    """The noun and the colour of "step: two red cars at the top"."""
    names = dict(vocabulary().noun_forms)
    parts = words.split()
    noun = next(names[w] for w in parts if w in names)
    return noun, next(w for w in parts if w in vocabulary().attributes["colour"])


def _count(words: str) -> int:
    return next((NUMBERS.index(w) for w in words.split() if w in NUMBERS), 1)
