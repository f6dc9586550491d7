"""The scene graph: what a picture is meant to show (paper, section "scene-graph subsampling").

A graph has object nodes (noun, attributes, count), relation edges, a background and a style. It has one canonical form,
so two descriptions of the same scene share one key, whatever the order in which they name things. Fields that came
later (`at_least`, `style`) are left out of JSON where they say nothing, so that older graphs keep their keys.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

# "A below B" says the same as "B above A"; the canonical form keeps the predicates on the right-hand side only.
INVERSE = {"to the right of": "to the left of", "below": "above"}
OPPOSITE = {**INVERSE, **{right: left for left, right in INVERSE.items()}}  # the predicate after the ends are swapped
SPATIAL = ("to the left of", "to the right of", "above", "below")

# Where an object may be asked to stand: (column, row) of a 3 × 3 grid, None where it is left open.
PLACES: dict[str, tuple[int | None, int | None]] = {
    "at the top left": (0, 0), "at the top": (None, 0), "at the top right": (2, 0),
    "on the left": (0, None), "in the centre": (1, 1), "on the right": (2, None),
    "at the bottom left": (0, 2), "at the bottom": (None, 2), "at the bottom right": (2, 2),
}  # fmt: skip
PLACE = "place"
ACTION = "action"  # the kind of attribute that is said after the noun: "two dogs chasing each other"
OPEN_COUNTS = ("some", "several", "a few")  # words for a number that is left open
CORNERS = tuple(place for place, at in PLACES.items() if None not in at and place != "in the centre")


def lies_within(point: tuple[int | None, int | None], area: tuple[int | None, int | None]) -> bool:
    """Whether a place lies within another: "at the top left" lies within "at the top" and within "on the left"."""
    return all(a in (None, p) for p, a in zip(point, area, strict=True))


def bare_predicate(words: str) -> str:
    """A predicate without "is": "is riding" → "riding"."""
    return re.sub(r"^\s*(?:is|are)\s+(?=\S)", "", words)


class SceneObject(BaseModel):
    """One node: `count` equal objects with the same noun and attributes.

    `attributes` maps a kind to a value, e.g. ``{"colour": "red", "place": "at the top left"}``; "color" is "colour".
    `count` is stated, not accumulated: "two cars" where three are wanted contradicts. With `at_least` more are as good:
    "some cars" are two at least.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str = Field(min_length=1)
    noun: str = Field(min_length=1)
    attributes: dict[str, str] = Field(default_factory=dict)
    count: int = Field(default=1, ge=1, le=99)
    at_least: bool = False

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, given: Any) -> Any:
        """Accept "color" for "colour", and "some", "several" or "a few" as a count."""
        if not isinstance(given, dict):
            return given
        if isinstance(given.get("attributes"), dict) and "color" in given["attributes"]:
            named = {"colour" if kind == "color" else kind: value for kind, value in given["attributes"].items()}
            given = {**given, "attributes": named}
        if given.get("count") in OPEN_COUNTS:
            given = {**given, "count": 2, "at_least": True}
        return given

    @model_validator(mode="after")
    def _several(self) -> SceneObject:
        if self.at_least and self.count == 1:
            raise ValueError("at_least speaks of several objects, so count must be 2 or more")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: v for k, v in handler(self).items() if k != "at_least" or v}

    @property
    def label(self) -> tuple[str, tuple[tuple[str, str], ...], int]:
        """(noun, sorted attributes, count, negative if more are as good): equal for nodes whose ids alone differ."""
        return self.noun, tuple(sorted(self.attributes.items())), -self.count if self.at_least else self.count

    def counts_as(self, number: int) -> bool:
        """Whether so many objects are as many as asked for."""
        return number == self.count or (self.at_least and number > self.count)

    def with_attribute(self, kind: str, value: str) -> SceneObject:
        """A copy with one attribute set."""
        return self.model_copy(update={"attributes": {**self.attributes, kind: value}})

    def without(self, kind: str) -> SceneObject:
        """A copy without one kind of attribute."""
        return self.model_copy(update={"attributes": {k: v for k, v in self.attributes.items() if k != kind}})


class Relation(BaseModel):
    """`subject` stands in `predicate` to `object`, both ids of nodes. Predicates are open-ended phrases."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    subject: str
    predicate: str = Field(min_length=1)
    object: str

    @model_validator(mode="before")
    @classmethod
    def _without_is(cls, given: Any) -> Any:
        """Accept "is riding" for "riding"."""
        if isinstance(given, dict) and isinstance(said := given.get("predicate"), str):
            return {**given, "predicate": bare_predicate(said)}
        return given

    def canonical(self) -> Relation:
        """The same statement in its canonical direction: "A right of B" becomes "B left of A"."""
        if self.predicate in INVERSE:
            return Relation(subject=self.object, predicate=INVERSE[self.predicate], object=self.subject)
        return self

    def told_from(self, id: str) -> Relation | None:
        """The same statement with the node `id`, one of its ends, as subject; None if the predicate has no opposite."""
        if self.subject == id:
            return self
        if self.predicate not in OPPOSITE:
            return None
        return Relation(subject=self.object, predicate=OPPOSITE[self.predicate], object=self.subject)


class SceneGraph(BaseModel):
    """Objects, relations, a background and a style of the whole ("" where none is asked for).

    `style` is a phrase for what is no object: medium, manner, light or mood ("watercolour, at sunset").

    Raises pydantic's ValidationError on duplicate ids and on relations that name no node of the graph.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    objects: tuple[SceneObject, ...] = ()
    relations: tuple[Relation, ...] = ()
    background: str = ""
    style: str = ""

    @field_validator("style")
    @classmethod
    def _phrase(cls, style: str) -> str:
        return " ".join(style.split()).rstrip(".")

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: v for k, v in handler(self).items() if k != "style" or v}

    @model_validator(mode="after")
    def _closed(self) -> SceneGraph:
        ids = [o.id for o in self.objects]
        if len(set(ids)) != len(ids):
            raise ValueError(f"duplicate object ids: {ids}")
        for r in self.relations:
            for end in (r.subject, r.object):
                if end not in ids:
                    raise ValueError(f"relation {r.predicate!r} names the unknown object {end!r}")
            if r.subject == r.object:
                raise ValueError(f"object {r.subject!r} stands in relation {r.predicate!r} to itself")
        return self

    def node(self, id: str) -> SceneObject:
        """The node with this id. Raises KeyError if there is none."""
        for o in self.objects:
            if o.id == id:
                return o
        raise KeyError(id)

    def replace_node(self, new: SceneObject) -> SceneGraph:
        """A copy in which `new` replaces the node of the same id; unchanged where there is none."""
        return self.model_copy(update={"objects": tuple(new if o.id == new.id else o for o in self.objects)})

    def restrict(self, ids: Iterable[str]) -> SceneGraph:
        """The induced subgraph: these nodes, the relations among them, and the background."""
        keep = set(ids)
        objects = tuple(o for o in self.objects if o.id in keep)
        relations = tuple(r for r in self.relations if {r.subject, r.object} <= keep)
        return self.model_copy(update={"objects": objects, "relations": relations})

    def without(self, kind: str) -> SceneGraph:
        """The graph without one kind of attribute (e.g. `PLACE`, which is layout and not content)."""
        return self.model_copy(update={"objects": tuple(o.without(kind) for o in self.objects)})

    def canonical(self) -> SceneGraph:
        """Nodes in a fixed order and renamed o0, o1, …; relations in their canonical direction, sorted."""
        relations = {r.canonical() for r in self.relations}
        colour = {o.id: repr(o.label) for o in self.objects}
        for _ in self.objects:  # colour refinement: tells nodes of equal label apart by their relations
            colour = {
                o.id: _digest(
                    colour[o.id],
                    *sorted(f">{r.predicate}{colour[r.object]}" for r in relations if r.subject == o.id),
                    *sorted(f"<{r.predicate}{colour[r.subject]}" for r in relations if r.object == o.id),
                )
                for o in self.objects
            }
        order = sorted(self.objects, key=lambda o: (o.label, colour[o.id]))
        name = {o.id: f"o{i}" for i, o in enumerate(order)}
        renamed = (Relation(subject=name[r.subject], predicate=r.predicate, object=name[r.object]) for r in relations)
        return SceneGraph(
            objects=tuple(
                o.model_copy(update={"id": name[o.id], "attributes": dict(sorted(o.attributes.items()))}) for o in order
            ),
            relations=tuple(sorted(renamed, key=lambda r: (r.subject, r.predicate, r.object))),
            background=self.background,
            style=self.style,
        )

    def key(self) -> str:
        """16 hex digits that name the scene: equal for equal scenes, whatever the ids and the order."""
        return _digest(json.dumps(self.canonical().model_dump(), sort_keys=True))[:16]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def overlap(node: SceneObject, other: SceneObject) -> bool:
    """Whether two nodes share a place, or `node` stands within the side that the several objects of `other` fill."""
    here, there = node.attributes.get(PLACE, ""), other.attributes.get(PLACE, "")
    if other.count == 1 or here not in PLACES or there not in PLACES:
        return bool(here) and here == there
    crossing = all(a is None or b is None or a == b for a, b in zip(PLACES[here], PLACES[there], strict=True))
    return crossing if node.count > 1 else lies_within(PLACES[here], PLACES[there])
