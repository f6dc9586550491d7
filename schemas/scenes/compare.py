"""Compares a partial scene with a full one. What is not painted yet is not wrong, so it fits in one of three ways:

contradicts   something stated cannot be true of the full scene
incomplete    all that is stated is right, but parts are still missing
satisfies     nothing is missing and nothing is wrong
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.optimize import linear_sum_assignment

from underpaint.schemas.scenes.scene import PLACE, PLACES, Relation, SceneGraph, SceneObject


class SceneFit(StrEnum):
    """How a partial scene fits the full one; the module's docstring defines the three."""

    CONTRADICTS = "contradicts"
    INCOMPLETE = "incomplete"
    SATISFIES = "satisfies"


class FaultKind(StrEnum):
    """What can differ. The missing kinds alone make a scene incomplete; every other one contradicts."""

    WRONG_ATTRIBUTE = "wrong_attribute"
    WRONG_RELATION = "wrong_relation"
    WRONG_COUNT = "wrong_count"
    WRONG_BACKGROUND = "wrong_background"
    UNWANTED_OBJECT = "unwanted_object"
    MISSING_OBJECT = "missing_object"
    MISSING_DETAIL = "missing_detail"


STYLE = "style"  # what the `attribute` of a difference of styles says; it is of no object
MISSING = (FaultKind.MISSING_OBJECT, FaultKind.MISSING_DETAIL)


class Difference(BaseModel):
    """One difference between two scenes. `attribute` names the kind of attribute that differs, e.g. "colour"."""

    model_config = ConfigDict(frozen=True)
    kind: FaultKind
    subject: SceneObject | None = None  # the node as in the partial scene; a missing one as in the full scene
    wanted: SceneObject | None = None  # its counterpart in the full scene
    other: SceneObject | None = None  # the object of a relation that differs, as the full scene has it
    attribute: str = ""
    stated: str = ""  # for an unwanted object: "another" if a wanted object that looks the same is there as well
    expected: str = ""


class Comparison(BaseModel):
    """How the partial scene fits the full one, and all differences that this follows from."""

    model_config = ConfigDict(frozen=True)
    fit: SceneFit
    differences: tuple[Difference, ...] = ()

    @property
    def faults(self) -> tuple[Difference, ...]:
        """The differences that contradict the full scene, so all but the missing kinds."""
        return tuple(d for d in self.differences if d.kind not in MISSING)

    @property
    def missing(self) -> tuple[SceneObject, ...]:
        """The objects of the full scene that the partial one does not hold yet."""
        return tuple(d.subject for d in self.differences if d.kind is FaultKind.MISSING_OBJECT and d.subject)


def compare(partial: SceneGraph, full: SceneGraph) -> Comparison:
    """Compare a partial scene (a step's description) with a full one (the prompt).

    Details that `full` leaves open may be filled in freely: a place it does not name, a colour it does not say.
    """
    pairs = match(partial.objects, full.objects)
    wanted_looks = [look(mine) for mine, theirs in pairs if theirs is not None]
    found: list[Difference] = []
    for mine, theirs in pairs:
        if theirs is None:
            stated = "another" if look(mine) in wanted_looks else ""
            found.append(Difference(kind=FaultKind.UNWANTED_OBJECT, subject=mine, stated=stated))
            continue
        found += _node_differences(mine, theirs)
    matched = {theirs.id for _, theirs in pairs if theirs is not None}
    missing = [o for o in full.objects if o.id not in matched]
    found += [Difference(kind=FaultKind.MISSING_OBJECT, subject=o, wanted=o) for o in missing]
    found += _relation_differences(partial, full, pairs)
    if partial.background and full.background and partial.background != full.background:
        found.append(Difference(kind=FaultKind.WRONG_BACKGROUND, stated=partial.background, expected=full.background))
    elif full.background and not partial.background:
        found.append(Difference(kind=FaultKind.MISSING_DETAIL, attribute="background", expected=full.background))
    if full.style and partial.style != full.style:
        kind = FaultKind.WRONG_ATTRIBUTE if partial.style else FaultKind.MISSING_DETAIL
        found.append(Difference(kind=kind, attribute=STYLE, stated=partial.style, expected=full.style))
    if any(d.kind not in MISSING for d in found):
        fit = SceneFit.CONTRADICTS
    else:
        fit = SceneFit.INCOMPLETE if found else SceneFit.SATISFIES
    return Comparison(fit=fit, differences=tuple(found))


def look(node: SceneObject) -> tuple[str, tuple[tuple[str, str], ...]]:
    """(noun, attributes) of a node, without its place and count."""
    return node.noun, tuple(sorted((k, v) for k, v in node.attributes.items() if k != PLACE))


def match(
    mine: tuple[SceneObject, ...], theirs: tuple[SceneObject, ...]
) -> list[tuple[SceneObject, SceneObject | None]]:
    """Pair every node of `mine` with one of `theirs` of the same noun, or with None where none is left.

    The pairing is the one in which the fewest attributes and counts differ. Among equally good ones, earlier nodes of
    `mine` get earlier nodes of `theirs`.
    """
    pairs: dict[str, SceneObject | None] = {}
    for noun in {o.noun for o in mine}:
        left = [o for o in mine if o.noun == noun]
        right: list[SceneObject | None] = [o for o in theirs if o.noun == noun]
        right += [None] * max(0, len(left) - len(right))
        best = _assign([[_distance(a, b) for b in right] for a in left])
        pairs.update({a.id: right[column] for a, column in zip(left, best, strict=True)})
    return [(o, pairs[o.id]) for o in mine]


def _assign(costs: Sequence[Sequence[int]]) -> list[int]:
    """Assign each row a column of its own so that the sum of costs is least (the Hungarian method, in n³ steps).

    There are no more rows than columns. SciPy gives one of the best assignments; the first of them takes for every row
    the first column with which the rest can still be that good.
    """

    def least(row: int, columns: list[int]) -> int:
        rest = np.array([[line[j] for j in columns] for line in costs[row:]])
        return int(rest[linear_sum_assignment(rest)].sum()) if rest.size else 0

    free, chosen, total = list(range(len(costs[0]))), [], least(0, list(range(len(costs[0]))))
    for row, line in enumerate(costs):
        total, column = next(
            (rest, j) for j in free if line[j] + (rest := least(row + 1, [k for k in free if k != j])) == total
        )
        free.remove(column)
        chosen.append(column)
    return chosen


def _distance(mine: SceneObject, theirs: SceneObject | None) -> int:
    if theirs is None:
        return 100
    keys = set(mine.attributes) & set(theirs.attributes)
    wrong = sum(mine.attributes[k] != theirs.attributes[k] for k in keys)
    return 10 * wrong + 5 * (not _as_many(mine, theirs)) + len(set(theirs.attributes) - keys)


def _as_many(mine: SceneObject, theirs: SceneObject) -> bool:
    """Whether a node's number is one that its counterpart asks for, or leaves open what that one states."""
    return theirs.counts_as(mine.count) or mine.counts_as(theirs.count)


def _node_differences(mine: SceneObject, theirs: SceneObject) -> list[Difference]:
    found = []
    for kind, expected in sorted(theirs.attributes.items()):
        stated = mine.attributes.get(kind, "")
        if stated == expected:
            continue
        difference = FaultKind.WRONG_ATTRIBUTE if stated else FaultKind.MISSING_DETAIL
        found.append(
            Difference(kind=difference, subject=mine, wanted=theirs, attribute=kind, stated=stated, expected=expected)
        )
    open_still = mine.at_least and not theirs.at_least
    if open_still or not _as_many(mine, theirs):
        count = FaultKind.MISSING_DETAIL if _as_many(mine, theirs) else FaultKind.WRONG_COUNT
        stated, expected = str(mine.count), str(theirs.count)
        found.append(
            Difference(
                kind=count, subject=mine, wanted=theirs, attribute="count" if open_still else "",
                stated=stated, expected=expected,
            )
        )  # fmt: skip
    return found


def _relation_differences(
    partial: SceneGraph, full: SceneGraph, pairs: list[tuple[SceneObject, SceneObject | None]]
) -> list[Difference]:
    """A wanted relation is wrong where the partial scene states another one, or where its objects' places deny it."""
    mine_of = {theirs.id: mine for mine, theirs in pairs if theirs is not None}
    stated: dict[tuple[str, str], set[str]] = {}
    for r in map(Relation.canonical, partial.relations):
        stated.setdefault((r.subject, r.object), set()).add(r.predicate)
    found = []
    for r in map(Relation.canonical, full.relations):
        if r.subject not in mine_of or r.object not in mine_of:
            continue
        a, b = mine_of[r.subject], mine_of[r.object]
        forward, backward = stated.get((a.id, b.id), set()), stated.get((b.id, a.id), set())
        holds = placed(a, b, r.predicate)
        if holds is False or (r.predicate not in forward and (forward or backward)):
            kind = FaultKind.WRONG_RELATION
        elif r.predicate in forward or holds:
            continue
        else:
            kind = FaultKind.MISSING_DETAIL
        found.append(
            Difference(
                kind=kind, subject=a, wanted=full.node(r.subject), other=full.node(r.object), expected=r.predicate
            )
        )
    return found


def placed(a: SceneObject, b: SceneObject, predicate: str) -> bool | None:
    """Whether the places of two nodes make the canonical relation true; None where the places leave it open."""
    axis = {"to the left of": 0, "above": 1}.get(predicate)
    if axis is None or PLACE not in a.attributes or PLACE not in b.attributes:
        return None
    here, there = PLACES.get(a.attributes[PLACE]), PLACES.get(b.attributes[PLACE])
    if here is None or there is None or here[axis] is None or there[axis] is None:
        return None
    return here[axis] < there[axis]  # type: ignore[operator]
