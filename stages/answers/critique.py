"""Reads a judge's answer as a critique, and says as a JSON Schema how it should look."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema
from pydantic import JsonValue, ValidationError

from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.critique import FIELDS, Critique, Finding, Verdict
from underpaint.stages.answers.answer import AnswerError, CritiqueError, Read, Said, blind, quote, words_of
from underpaint.stages.answers.kinds import read_kind, read_sentence, unknown_kind
from underpaint.stages.answers.objects import closed_object, field_name, find_object, renamed_fields
from underpaint.stages.answers.verdicts import gainsaid, gainsaid_by_field, read_verdict

Fields = Mapping[str, Mapping[str, Any]]  # a template's own answer fields: name to JSON Schema

_NAMES = {
    "observed": "observed, observations, observation",
    "findings": "findings, finding, faults, issues, problems",
    "verdict": "verdict, final_verdict, judgement, judgment",
    "analysis": "analysis, explanation, reasoning, rationale",
    "correction": "correction, corrections, corrected_instruction, fix",
}
NAMES = {name.strip(): field for field, names in _NAMES.items() for name in names.split(",")}
_PARTS = {
    "kind": "kind, type, category, fault, error_type, fault_kind, finding_type",
    "detail": "detail, details, description, explanation, message, text, reason, issue, finding",
}
_PART_NAMES = {name.strip(): part for part, names in _PARTS.items() for name in names.split(",")}
_NOTHING = re.compile(
    r"\W*(?:none|null|n/?a|nil|nothing|not (?:applicable|needed|required|necessary)|no"
    r"|no (?:\w+ )?(?:corrections?|changes?|findings?|faults?|issues?|problems?|errors?|discrepanc(?:y|ies)|fix(?:es)?)"
    r"|nothing (?:to (?:correct|fix|change|report)|is wrong|needs to be (?:corrected|changed)))"
    r"(?: (?:is |are |was |were )?(?:needed|required|necessary|found|detected|applicable|made|to report))?\W*",
    re.IGNORECASE,
)
_MOST_ITEMS, _LONGEST_TEXT = 40, 600  # room for what a judge says; without an end a small model lists for ever


def read_critique(
    answer: str | Said, kinds: Sequence[str] = (), fields: Fields | None = None, yes: Verdict | None = None
) -> Read[Critique]:
    """The critique in a judge's answer.

    `kinds` are finding kinds beyond `FaultKind`; `fields` are answer fields that the template adds, kept in `extra`;
    `yes` is the verdict that a yes to the template's question means (`read_verdict`).

    Raises CritiqueError where the answer is none, or where it says what no critique can: a conflict without a finding
    or a correction, agreement with either.
    """
    try:
        return _read(answer, kinds, fields or {}, yes)
    except CritiqueError:
        raise
    except AnswerError as e:
        raise CritiqueError(str(e), e.reason) from None


def parse_critique(answer: str | Said, kinds: Sequence[str] = ()) -> Critique:
    """The critique of `read_critique`, without what was bent."""
    return read_critique(answer, kinds).value


def critique_schema(kinds: Sequence[str] = (), fields: Fields | None = None) -> dict[str, Any]:
    """JSON Schema of a judge's answer, for structured output: all fields in order, lists and texts bounded.

    It uses only what guided decoders follow (llguidance, xgrammar, llama.cpp). OpenAI's strict mode knows `maxItems`
    but refuses `maxLength` (`without_lengths`). That a conflict has findings and a correction, the reader checks.
    """
    text = {"type": "string", "maxLength": _LONGEST_TEXT}
    finding = closed_object({"kind": {"type": "string", "enum": [*map(str, FaultKind), *kinds]}, "detail": text})
    said = {
        "observed": {"type": "array", "items": text, "maxItems": _MOST_ITEMS},
        "findings": {"type": "array", "items": finding, "maxItems": _MOST_ITEMS},
        "verdict": {"type": "string", "enum": [*map(str, Verdict)]},
        "analysis": {"type": "string", "maxLength": 2 * _LONGEST_TEXT},
        "correction": text,
    }
    return closed_object({**said, **{name: dict(schema) for name, schema in (fields or {}).items()}})


def without_lengths(schema: Any) -> Any:
    """A schema without bounds on the length of texts, which OpenAI's own service answers with code 400."""
    if isinstance(schema, dict):
        return {
            k: without_lengths(v)
            for k, v in schema.items()
            if k not in ("maxLength", "minLength") or not isinstance(v, int)
        }
    return [without_lengths(v) for v in schema] if isinstance(schema, list) else schema


def _read(answer: str | Said, kinds: Sequence[str], fields: Fields, yes: Verdict | None) -> Read[Critique]:
    words, bends = words_of(answer)
    own = {field_name(name): name for name in fields}
    found, around, loose = find_object(words, "verdict", NAMES | own)
    bends |= loose
    told = {name: _on_one_line(value) if name in FIELDS else value for name, value in found.items()}
    bends.add("line break" if told != found else "")
    found = told
    verdict, bend = read_verdict(_required(found, "verdict"), yes)
    bends.add(bend)
    if around and gainsaid(around, verdict):
        raise CritiqueError(f"the words around the object take its verdict back: {quote(around)}", _TWO)
    for name in found.keys() - {*FIELDS, *own.values()}:
        bends.add("extra field")
        if gainsaid_by_field(name, found[name], verdict):
            raise CritiqueError(f"{name}: says the opposite of the verdict {verdict.value!r}", _TWO)
    observed = tuple(_observed(_required(found, "observed"), bends))
    findings = tuple(_findings(_required(found, "findings"), kinds, bends))
    correction = _correction(found.get("correction"), bends)
    analysis = _analysis(found.get("analysis"), findings, bends)
    _check_sense(verdict, findings, correction)
    if any(map(blind, (analysis, *observed))):
        raise CritiqueError(f"the answer refuses: {quote(analysis)}", "refusal")
    extra = {name: _extra(found, name, schema) for name, schema in fields.items()}
    critique = new_critique(
        observed=observed, findings=findings, verdict=verdict, analysis=analysis, correction=correction, extra=extra
    )
    return Read.of(critique, bends)


def new_critique(**fields: Any) -> Critique:
    """A critique of these fields. Raises CritiqueError where a text holds what no segment may."""
    try:
        return Critique(**fields)
    except ValidationError as e:
        raise CritiqueError(e.errors()[0]["msg"].removeprefix("Value error, "), "tag or control token") from None


def _on_one_line(said: Any) -> Any:
    """The texts of a field without line breaks: they become segments, a line each."""
    if isinstance(said, str):
        return re.sub(r"\s*[\r\n]+\s*", " ", said)
    if isinstance(said, list):
        return [_on_one_line(one) for one in said]
    return {k: _on_one_line(v) for k, v in said.items()} if isinstance(said, dict) else said


_TWO = "contradicts itself"


def _required(found: Mapping[str, Any], name: str) -> Any:
    if found.get(name) is None and not (name in found and name == "findings"):
        raise CritiqueError(f"{name}: this field is missing", "field missing")
    return found[name]


def _observed(said: Any, bends: set[str]) -> Iterator[str]:
    """What was seen, one text an item; objects become their values."""
    if not isinstance(said, list):
        bends.add("one in place of a list")
        said = [f"{k}: {_flat(v)}" for k, v in said.items()] if isinstance(said, dict) else [said]
    for item in said:
        if isinstance(item, str):
            if item.strip():
                yield item
            continue
        bends.add("item that is no text")
        yield _flat(item)


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(filter(None, map(_flat, value.values())))
    if isinstance(value, list):
        return ", ".join(filter(None, map(_flat, value)))
    return "" if value is None else str(value)


def _findings(said: Any, kinds: Sequence[str], bends: set[str]) -> Iterator[Finding]:
    if said is None or (isinstance(said, str) and _is_nothing(said)):
        bends.add("null findings")
        return
    if isinstance(said, str):
        bends.add("one in place of a list")
        said = [part.strip() for part in re.split(r";|\n|(?<=[.!])\s+(?=[A-Z])", said) if part.strip()]
    elif isinstance(said, dict):
        bends.add("one in place of a list")
        said = [said] if {*map(_part_of, said)} & {*_PARTS} else [{"kind": k, "detail": v} for k, v in said.items()]
    if not isinstance(said, list):
        raise CritiqueError(f"findings: {quote(str(said))} is no list", "field of another type")
    for one in said:
        yield from _finding(one, kinds, bends)


def _finding(said: Any, kinds: Sequence[str], bends: set[str]) -> Iterator[Finding]:
    if isinstance(said, str):
        if _is_nothing(said):
            bends.add("null findings")
            return
        told, clause = read_sentence(said.strip(), kinds)
        bends.add("finding as a sentence")
        yield Finding(kind=told, detail=clause)
        return
    if not isinstance(said, dict):
        raise CritiqueError(f"findings: {quote(str(said))} is no finding", "field of another type")
    parts = renamed_fields(said, _PART_NAMES, own_first=True)
    if not parts.keys() & {*_PARTS}:
        if len(said) != 1:
            raise CritiqueError(f"findings: {quote(str(said))} has no kind and no detail", "field missing")
        parts = dict(zip(("kind", "detail"), *said.items(), strict=True))  # {"wrong_count": "…"}
    if parts.keys() != said.keys():
        bends.add("name of a field")
    if parts.keys() - {*_PARTS}:
        bends.add("extra field")
    kind, detail = parts.get("kind"), parts.get("detail")
    if (not kind and not detail) or (
        isinstance(kind, str) and _is_nothing(kind) and (not detail or _is_nothing(str(detail)))
    ):
        bends.add("null findings")
        return
    if not isinstance(detail, str) or not detail.strip():
        raise CritiqueError("findings: detail: this field is missing; say in a clause what is wrong", "field missing")
    if kind is not None and not isinstance(kind, str):
        raise unknown_kind(kind, kinds)
    named, bend = read_kind(kind, kinds) if kind else (read_sentence(detail, kinds)[0], "finding as a sentence")
    bends.add(bend)
    yield Finding(kind=named, detail=detail)


def _part_of(key: str) -> str:
    return _PART_NAMES.get(field_name(key), key)


def _correction(said: Any, bends: set[str]) -> str:
    if isinstance(said, list | dict):
        bends.add("one in place of a text")
        parts = [*(said.values() if isinstance(said, dict) else said)]
        if len(parts) > 1 or not all(isinstance(p, str) for p in parts):
            raise CritiqueError("correction: give one instruction as a text", "field of another type")
        said = parts[0] if parts else None
    if said == "":
        return ""
    if said is None or (isinstance(said, str) and (not said.strip() or _is_nothing(said))):
        bends.add("null correction")
        return ""
    if not isinstance(said, str):
        raise CritiqueError(f"correction: {said!r} is no text", "field of another type")
    return said


def _analysis(said: Any, findings: Sequence[Finding], bends: set[str]) -> str:
    if isinstance(said, str) and said.strip():
        return said
    if isinstance(said, list) and said and all(isinstance(s, str) for s in said):
        bends.add("list in place of a text")
        return " ".join(said)
    if said is not None and not isinstance(said, str):
        raise CritiqueError("analysis: this is no text", "field of another type")
    if not findings:
        raise CritiqueError("analysis: this field is missing", "field missing")
    bends.add("analysis from the findings")
    return "; ".join(f.detail for f in findings)


def _extra(found: Mapping[str, Any], name: str, schema: Mapping[str, Any]) -> JsonValue:
    """A field that the template adds, checked against its schema."""
    if name not in found:
        raise CritiqueError(f"{name}: this field is missing", "field missing")
    error = next(iter(jsonschema.Draft202012Validator(schema).iter_errors(found[name])), None)
    if error is not None:
        raise CritiqueError(f"{'.'.join([name, *map(str, error.path)])}: {error.message}", "field of another type")
    value: JsonValue = found[name]
    return value


def _check_sense(verdict: Verdict, findings: Sequence[Finding], correction: str) -> None:
    if verdict is Verdict.CONFLICT:
        if not findings:
            raise CritiqueError("verdict 'conflict' without a finding; name each fault in findings", "no finding")
        if not correction:
            raise CritiqueError(
                "verdict 'conflict' without a correction; give the corrected instruction", "no correction"
            )
    elif findings or correction:
        what = "findings" if findings else "a correction"
        raise CritiqueError(f"verdict {verdict.value!r} with {what}; only a conflict has {what}", _TWO)


def _is_nothing(words: str) -> bool:
    return _NOTHING.fullmatch(words) is not None or not words.strip(" .-–—")
