"""Reads a writer's answer as a scene graph. Words are kept as they were said; whether they are known is asked later."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from underpaint.schemas.markup import MarkupError, check_plain
from underpaint.schemas.scenes.grammar import NUMBERS
from underpaint.schemas.scenes.scene import OPEN_COUNTS, Relation, SceneGraph, SceneObject
from underpaint.stages.answers.answer import AnswerError, Read, Said, quote, words_of
from underpaint.stages.answers.objects import closed_object, field_name, find_object, renamed_fields

DETAIL = "detail"  # the kind of attributes that are given without a kind


def _names(**fields: str) -> dict[str, str]:
    return {name: field for field, names in fields.items() for name in (field, *names.split())}


_SCENE = _names(
    objects="nodes entities", relations="relationships edges", background="backdrop", style="mood medium",
    understood="",
)  # fmt: skip
_OBJECT = _names(
    id="node_id key", noun="name object label class category", attributes="attribute adjectives properties",
    count="number quantity amount",
)  # fmt: skip
_RELATION = _names(subject="from source head", predicate="relation type rel relationship", object="to target tail")
_ATTRIBUTE = _names(kind="name type key attribute", value="val")
_ASIDE = {"description", "caption", "note", "notes", "comment", "confidence", "bbox", "box"}  # says nothing of its own
_COUNTS = {word: n for n, word in enumerate(NUMBERS)}
_COUNTS |= {"a": 1, "an": 1, "single": 1, "pair": 2, "a pair": 2, "dozen": 12}
_NONE = re.compile(r"\W*(?:none|null|n/?a|unspecified|not specified|no background|unknown)?\W*", re.IGNORECASE)


def read_scene(answer: str | Said) -> Read[SceneGraph]:
    """The scene graph in an answer. Raises AnswerError naming the part that is wrong.

    Ids that are missing are made up; the end of a relation may be a noun that one object alone has. Attributes given
    as words without kinds are kept under the kind `DETAIL`.
    """
    words, bends = words_of(answer)
    found, _, loose = find_object(words, "objects", _SCENE)
    bends |= loose
    bends.update("extra field" for name in found if name not in _SCENE.values())
    objects = _objects(found["objects"], bends)
    relations = _relations(found.get("relations"), objects, bends)
    try:
        scene = SceneGraph(
            objects=objects, relations=relations, background=_phrase("background", found.get("background", ""), bends),
            style=_phrase("style", found.get("style", ""), bends),
        )  # fmt: skip
        if scene.objects or scene.background:
            check_plain(scene.model_dump_json())
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the graph"
        raise AnswerError(f"{where}: {first['msg'].removeprefix('Value error, ')}", "contradicts itself") from None
    except MarkupError as e:
        raise AnswerError(f"the scene {e}", "tag or control token") from None
    return Read.of(scene, bends)


def scene_schema() -> dict[str, Any]:
    """JSON Schema of such an answer, with an end to every list and text."""
    word, sentence = {"type": "string", "maxLength": 80}, {"type": "string", "maxLength": 300}
    attributes = {"type": "object", "additionalProperties": word, "maxProperties": 8}
    count = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 99}, {"enum": ["several"]}]}
    thing = closed_object({"id": word, "noun": word, "attributes": attributes, "count": count})
    relation = closed_object({"subject": word, "predicate": word, "object": word})
    fields = {
        "objects": {"type": "array", "items": thing, "maxItems": 16},
        "relations": {"type": "array", "items": relation, "maxItems": 24},
        "background": word, "style": word, "understood": sentence,
    }  # fmt: skip
    return closed_object(fields, optional=("style", "understood"))


def _objects(said: Any, bends: set[str]) -> tuple[SceneObject, ...]:
    if isinstance(said, dict):  # id to object
        bends.add("objects by id")
        said = [{"id": k, **v} if isinstance(v, dict) else {"id": k, "noun": v} for k, v in said.items()]
    if said is None:
        bends.add("null field")
        said = []
    if not isinstance(said, list):
        raise AnswerError(f"objects: {quote(str(said))} is no list", "field of another type")
    found = []
    for i, one in enumerate(said):
        if isinstance(one, str):
            bends.add("object as a word")
            one = {"noun": one}
        if not isinstance(one, dict):
            raise AnswerError(f"objects.{i}: {quote(str(one))} is no object", "field of another type")
        found.append(renamed_fields(one, _OBJECT, own_first=True))
        if found[-1].keys() != one.keys():
            bends.add("name of a field")
    taken = {str(one["id"]) for one in found if one.get("id") is not None}
    fresh = (name for i in range(len(found) + len(taken)) if (name := f"o{i}") not in taken)
    return tuple(_object(i, one, fresh, bends) for i, one in enumerate(found))


def _object(i: int, one: Mapping[str, Any], fresh: Iterator[str], bends: set[str]) -> SceneObject:
    noun, where = one.get("noun"), f"objects.{i}"
    if not isinstance(noun, str) or not noun.strip():
        raise AnswerError(f"{where}.noun: this field is missing", "field missing")
    id = one.get("id")
    if not isinstance(id, str):
        bends.add("id made up" if id is None else "id as a number")
    attributes = _attributes(one.get("attributes", {}), f"{where}.attributes", bends)
    for name in one.keys() - {"id", "noun", "attributes", "count"}:
        if isinstance(value := one[name], str) and field_name(name) not in _ASIDE and not _NONE.fullmatch(value):
            bends.add("attribute beside the attributes")
            attributes.setdefault(name, value)
        else:
            bends.add("extra field")
    several = str(one.get("count")).strip().lower() in OPEN_COUNTS
    count = 2 if several else _count(one.get("count", 1), f"{where}.count", bends)
    name = next(fresh) if id is None else str(id)
    try:
        return SceneObject(id=name, noun=noun, attributes=attributes, count=count, at_least=several)
    except ValidationError as e:
        first = e.errors()[0]
        raise AnswerError(
            f"{where}.{'.'.join(map(str, first['loc']))}: {first['msg']}", "field of another type"
        ) from None


def _attributes(said: Any, where: str, bends: set[str]) -> dict[str, str]:
    if said is None:
        bends.add("null field")
        return {}
    if isinstance(said, str | list):
        words = [said] if isinstance(said, str) else said
        if all(isinstance(w, str) for w in words):
            bends.add("attributes without a kind")
            return {DETAIL: " ".join(w.strip() for w in words)} if any(w.strip() for w in words) else {}
        pairs = [renamed_fields(w, _ATTRIBUTE) for w in words if isinstance(w, dict)]
        if len(pairs) < len(words) or not all(isinstance(p.get("kind"), str) for p in pairs):
            raise AnswerError(f"{where}: write them as an object of kind and value", "field of another type")
        bends.add("attributes as a list")
        if len({p["kind"] for p in pairs}) < len(pairs):
            raise AnswerError(f"{where}: a kind is given twice", "contradicts itself")
        said = {p["kind"]: p.get("value") for p in pairs}
    if not isinstance(said, dict):
        raise AnswerError(f"{where}: {quote(str(said))} is no object of kind and value", "field of another type")
    found, details = dict[str, str](), list[str]()
    for kind, value in said.items():
        if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
            bends.add("attribute as a list")
            value = " and ".join(value)
        if value is None or value is False or (isinstance(value, str) and _NONE.fullmatch(value)) or value == []:
            bends.add("null field")
        elif value is True:
            bends.add("attributes without a kind")
            details.append(kind)
        elif isinstance(value, str | int | float):
            found[kind] = str(value)
        else:
            raise AnswerError(f"{where}.{kind}: {quote(str(value))} is no word", "field of another type")
    return {**found, DETAIL: " ".join([*filter(None, [found.get(DETAIL)]), *details])} if details else found


def _count(said: Any, where: str, bends: set[str]) -> int:
    if isinstance(said, int) and not isinstance(said, bool):
        return said
    if said is None:
        bends.add("null field")
        return 1
    words = str(said).strip().lower()
    if words in _COUNTS or re.fullmatch(r"\d{1,4}(?:\.0)?", words):
        bends.add("count as a word")
        return _COUNTS[words] if words in _COUNTS else int(float(words))
    raise AnswerError(f"{where}: {quote(str(said))} is no number", "field of another type")


def _relations(said: Any, objects: tuple[SceneObject, ...], bends: set[str]) -> tuple[Relation, ...]:
    if said is None:
        return ()
    if not isinstance(said, list):
        raise AnswerError(f"relations: {quote(str(said))} is no list", "field of another type")
    found = dict[Relation, None]()
    for i, one in enumerate(said):
        if isinstance(one, list) and len(one) == 3:
            bends.add("relation as a list")
            one = dict(zip(("subject", "predicate", "object"), one, strict=True))
        if not isinstance(one, dict):
            raise AnswerError(f"relations.{i}: {quote(str(one))} is no relation", "field of another type")
        parts = renamed_fields(one, _RELATION, own_first=True)
        if parts.keys() != one.keys():
            bends.add("name of a field")
        if parts.keys() - {*_RELATION.values()}:
            bends.add("extra field")
        predicate = parts.get("predicate")
        if not isinstance(predicate, str) or not predicate.strip():
            raise AnswerError(f"relations.{i}.predicate: this field is missing", "field missing")
        if "_" in predicate:
            bends.add("spelling of a predicate")
        ends = {end: _end(parts.get(end), f"relations.{i}.{end}", objects, bends) for end in ("subject", "object")}
        found[Relation(predicate=predicate.replace("_", " "), **ends)] = None
    return tuple(found)


def _end(said: Any, where: str, objects: tuple[SceneObject, ...], bends: set[str]) -> str:
    """The id of the one object that the end of a relation names, by id or by its noun."""
    if said is None:
        raise AnswerError(f"{where}: this field is missing", "field missing")
    if any(o.id == str(said) for o in objects):
        return str(said)
    words = re.sub(r"^(?:the|an?) ", "", str(said).strip().lower())
    named = [o for o in objects if words in (o.noun.lower(), " ".join([*o.attributes.values(), o.noun]).lower())]
    if len(named) == 1:
        bends.add("object named by its noun")
        return named[0].id
    why = "several objects have this name" if named else f"names the unknown object {quote(str(said))}"
    raise AnswerError(f"{where}: {why}; write the id of one", "unknown object")


def _phrase(name: str, said: Any, bends: set[str]) -> str:
    if isinstance(said, str) and not (said and _NONE.fullmatch(said)):
        return said
    if said is None or isinstance(said, str):
        bends.add("null field")
        return ""
    raise AnswerError(f"{name}: {quote(str(said))} is no word", "field of another type")
