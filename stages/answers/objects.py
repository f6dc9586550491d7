"""Finds the JSON object that is meant in an answer, whatever stands around it, and however it is quoted.

Well-formed JSON is taken as it is. Anything else goes through json_repair, whose guesses are then checked: it may drop
a key that is said twice, swallow a field into a text, or close what was cut. Such answers are refused.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import json_repair

from underpaint.stages.answers.answer import AnswerError, check_characters, quote, refuses

DEEPEST = 32  # brackets within brackets; a critique has four
_STRAY = 100  # brackets that open no JSON; each costs a search through the answer
_OPEN = re.compile(r"[{\[]")
_BRACKET = re.compile(r"[{}\[\]]")
_FENCE = re.compile(r"```[ \t]*\w*|~~~[ \t]*\w*")
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*(?:"|\Z))|(?<![^\s,\[{])(?://|#)[^\n]*|/\*(?s:.{0,400}?)\*/')
_SINGLE = re.compile(r"(?<=[{\[,:])(\s*)'|'(?=\s*[,:}\]])")
_PAIR = {"}": "{", "]": "["}


def find_object(words: str, key: str, names: Mapping[str, str]) -> tuple[dict[str, Any], str, set[str]]:
    """(the one object of an answer that has the field `key`, the words around it, bends).

    `names` maps what a field may be called, as `field_name` spells it, to the field; the object's fields are renamed.
    It may stand inside another object or a list. Raises AnswerError where there is none, where it was cut, or where
    two differ.
    """
    values, around, bends = _values(words)
    if not values and refuses(words):
        raise AnswerError(f"the answer refuses: {quote(words)}", "refusal")
    if not values:
        raise AnswerError(f"there is no JSON object in {quote(words)}", "no JSON")
    found = [(renamed, v is value) for v in values for value, renamed in _holders(v, key, names)]
    if not found:
        if refuses(words):
            raise AnswerError(f"the answer refuses: {quote(words)}", "refusal")
        raise AnswerError(f"{key}: this field is missing", "field missing")
    first, outermost = found[0]
    if any(other != first for other, _ in found):
        raise AnswerError("the answer holds two objects that differ; give one", "contradicts itself")
    if _field_names(around, names):
        raise AnswerError("a part of the object stands outside its brackets", "no JSON")
    check_characters(json.dumps(first, ensure_ascii=False))
    if len(found) > 1:
        bends.add("said twice")
    if not outermost:
        bends.add("wrapped")
    if first.keys() - {k for v in values for o in _objects(v) for k in o}:
        bends.add("name of a field")
    if around:
        bends.add("prose")
    return first, around, bends


def closed_object(properties: Mapping[str, Any], optional: Collection[str] = ()) -> dict[str, Any]:
    """The JSON Schema of an object with these fields, in this order, and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": {**properties}, "required": required, "additionalProperties": False}


def field_name(key: str) -> str:
    """A key in lower case with underscores: "Final Verdict" is "final_verdict"."""
    return re.sub(r"\W+", "_", key.strip().lower()).strip("_")


def renamed_fields(found: Mapping[str, Any], names: Mapping[str, str], own_first: bool = False) -> dict[str, Any]:
    """An object's fields by the names they go by. Raises AnswerError where two that differ go by one name.

    With `own_first` a field that has its right name is not touched by others that could go by it.
    """
    fields: dict[str, Any] = {}
    for key, value in found.items():
        name = names.get(field_name(key), key)
        if own_first and name in found:
            name = key
        if name in fields and fields[name] != value:
            raise AnswerError(f"{name}: is said twice, in different words", "contradicts itself")
        fields[name] = value
    return fields


def _values(words: str) -> tuple[list[Any], str, set[str]]:
    """(all JSON values of an answer that hold other values, the words around them, bends)."""
    _check_depth(words)
    values, around, bends, at = list[Any](), list[str](), set[str](), 0
    if words.startswith('"'):
        try:
            inner = json.loads(words)
        except ValueError:
            pass
        else:
            values, outside, bends = _values(inner) if not inner.startswith('"') else ([], inner, bends)
            return values, outside, {*bends, "wrapped"}
    unclosed, stray = False, 0
    while start := _OPEN.search(words, at):
        around.append(words[at : start.start()])
        value, at, bend = _value(words, start.start())
        if value is None:
            if (stray := stray + 1) > _STRAY:
                raise AnswerError(f"more than {_STRAY} brackets are not closed", "no JSON")
            unclosed = unclosed or words[at - 1] == "{"
            around.append(words[at - 1])
        elif not any(_objects(value)):
            around.append(words[start.start() : at])
        else:
            bends.add(bend)
            values.append(value)
    if unclosed:
        raise AnswerError("the JSON object is not closed: the answer ends too early", "cut at the limit")
    outside = "".join([*around, words[at:]])
    if _FENCE.search(outside):
        outside = _FENCE.sub("", outside)
        bends.add("fence")
    return values, outside.strip(), bends


def _value(words: str, start: int) -> tuple[Any, int, str]:
    """(the value whose bracket stands at `start`, where it ends, bend); (None, start + 1, "") where none ends."""
    for strict, bend in ((True, ""), (False, "raw newline")):
        try:
            value, end = json.JSONDecoder(strict=strict, object_pairs_hook=_once).raw_decode(words, start)
            return value, end, bend
        except json.JSONDecodeError:
            continue
    closed = _close(words, start)
    if closed is None:
        return None, start + 1, ""
    return _repaired(words[start:closed]), closed, "repaired JSON"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise AnswerError(f"{key}: is said twice, in different words", "contradicts itself")
        found[key] = value
    return found


def _repaired(broken: str) -> Any:
    plain = _COMMENT.sub(lambda m: m[1] or " ", broken)
    if '"' not in plain:
        plain = re.sub("[“”„]", '"', plain)
    if '"' not in plain:  # apostrophes make single quotes hard to tell apart; those beside , : and brackets delimit
        plain = _SINGLE.sub(lambda m: f'{m[1] or ""}"', plain)
    try:
        value = json_repair.loads(plain, skip_json_loads=True)
    except (ValueError, RecursionError) as e:
        raise AnswerError(f"not JSON: {e}", "no JSON") from None
    kept = Counter(field_name(key) for found in _objects(value) for key in found)
    for name, said in Counter(_field_names(broken, None)).items():
        if said > kept[name]:
            raise AnswerError(f"not JSON: {name} is said twice, or a quotation mark before it is missing", "no JSON")
    return value


def _field_names(text: str, names: Mapping[str, str] | None) -> list[str]:
    """What looks like the key of a field in a text, in quotation marks or at the start of a line or an object."""
    quoted = re.findall(r"""["'“‘](\w{2,40})["'”’]\s*:""", text)
    bare = re.findall(r"""[{,\n][ \t]*(\w{2,40})\s*:""", text) if names is None else []
    return [k for k in map(field_name, (*quoted, *bare)) if names is None or k in names]


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)


def _holders(value: Any, key: str, names: Mapping[str, str]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """All objects in a value that have the field; not those inside the fields themselves, which are parts of it."""
    own = dict[str, Any]()
    if isinstance(value, dict):
        known = {names.get(field_name(k), k) for k in value}
        if key in known:
            own = renamed_fields(value, names)
            yield value, own
        inner = [v for k, v in value.items() if not own or names.get(field_name(k), k) not in names.values()]
    else:
        inner = value if isinstance(value, list) else []
    for v in inner:
        yield from _holders(v, key, names)


def _close(words: str, start: int) -> int | None:
    """Where the bracket at `start` is closed, brackets inside texts counted like others; None where it is not."""
    open_ones = list[str]()
    for bracket in _BRACKET.finditer(words, start):
        if bracket[0] in "{[":
            open_ones.append(bracket[0])
        elif open_ones.pop() != _PAIR[bracket[0]]:
            return None
        if not open_ones:
            return bracket.end()
    return None


def _check_depth(words: str) -> None:
    depth = 0
    for bracket in _BRACKET.finditer(words):
        depth = depth + 1 if bracket[0] in "{[" else max(depth - 1, 0)
        if depth > DEEPEST:
            raise AnswerError(f"brackets are nested more than {DEEPEST} deep", "nested too deeply")
