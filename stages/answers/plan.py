"""Reads a writer's answer as the next step, or as the word that nothing is missing."""

from __future__ import annotations

import re
from typing import Any

from underpaint.schemas.markup import DONE, TAG, MarkupError, parse_plan, plan_text
from underpaint.stages.answers.answer import AnswerError, Read, Said, quote, refuses, words_of
from underpaint.stages.answers.objects import find_object
from underpaint.stages.answers.text import check_prose

Step = tuple[str, str]  # (instruction, description)

_TAGS = re.compile(r"(</?(?:ins|des)>)", re.IGNORECASE)
_IN_ORDER = ["<ins>", "</ins>", "<des>", "</des>"]
_LABELLED = re.compile(
    r"\binstruction[*_]*\s*:[*_]*\s*(?P<ins>\S[^\n]*)\s*\n[*_#\s]*description[*_]*\s*:[*_]*\s*(?P<des>\S[^\n]*)",
    re.IGNORECASE,
)
_STEP = re.compile(r"\W*(?:the )?(?:next )?step(?: \d+)?\W*", re.IGNORECASE)
_REST = (
    r"(?:nothing (?:else |more )?(?:is |remains )?(?:missing|left|to (?:add|do|paint))"
    r"|no (?:further|more) steps?(?: \w+)*"
    r"|(?:the |all )?(?:\w+ ){0,3}(?:is|are) (?:now )?(?:complete|finished|done|present|there|painted|in place))"
)
_DONE = re.compile(rf"\W*(?:{DONE}|{_REST})(?:\W+{_REST})*\W*", re.IGNORECASE)
_SAYS_DONE = re.compile(rf"\b(?:{_REST})\b|^\W*{DONE}\b|\b{DONE}\W*$", re.IGNORECASE)
_NAMES = {n: n for n in ("instruction", "description", DONE)} | {"ins": "instruction", "des": "description"}


def read_plan(answer: str | Said) -> Read[Step | None]:
    """The (instruction, description) of the next step; None where the answer says that nothing is missing.

    Raises AnswerError where the answer is neither or both, gives several steps, or breaks a rule of `plan_text`.
    """
    words, bends = words_of(answer)
    if words.rstrip(".").lower() == DONE:
        return Read.of(None, bends)
    if "```" in words:
        words = re.sub(r"```[ \t]*\w*", "", words).strip()
        bends.add("fence")
    if not TAG.search(words.lower()):
        if _DONE.fullmatch(words):
            return Read.of(None, {*bends, "done in other words"})
        if "{" in words:
            return _from_object(words, bends)
    tagged = _tagged(words)
    found = tagged or [(m["ins"], m["des"], words[: m.start()], words[m.end() :]) for m in _LABELLED.finditer(words)]
    if len({(ins.strip(), des.strip()) for ins, des, *_ in found}) > 1:
        raise AnswerError("the answer gives several steps; give the next one alone", "several steps")
    if not found:
        raise _no_step(words)
    instruction, description, *around = found[0]
    if any(map(_SAYS_DONE.search, around)) or any(map(_DONE.fullmatch, (instruction, description))):
        raise AnswerError("the answer gives a step and says that nothing is missing", "contradicts itself")
    rest = " ".join(around).strip(" \n*_#")
    bends.add("" if tagged else "labels in place of tags")
    bends.add("" if not rest else "label" if _STEP.fullmatch(rest) else "prose")
    return Read.of(_checked(instruction, description), bends)


def _tagged(words: str) -> list[tuple[str, ...]]:
    """(instruction, description, words around them …) of each step in tags; none where tags are in another order."""
    parts = _TAGS.split(words)
    tags, texts = [t.lower() for t in parts[1::2]], parts[::2]
    if not tags or len(tags) % 4 or tags != _IN_ORDER * (len(tags) // 4):
        return []
    around = (texts[0], *texts[2::4], *texts[4::4])
    return [(texts[i], texts[i + 2], *around) for i in range(1, len(texts), 4)]


def _from_object(words: str, bends: set[str]) -> Read[Step | None]:
    key = "instruction" if re.search(r"""["'“](?:instruction|ins)["'”]""", words, re.IGNORECASE) else DONE
    found, _, loose = find_object(words, key, _NAMES)
    bends |= {*loose, "object in place of tags"}
    done = found.get(DONE)
    if done not in (True, False, None):
        raise AnswerError(f"done: {quote(str(done))} is neither true nor false", "field of another type")
    parts = [_part(found, name) for name in ("instruction", "description")]
    if done and any(parts):
        raise AnswerError("the answer gives a step and says that nothing is missing", "contradicts itself")
    if done:
        return Read.of(None, bends)
    return Read.of(_checked(*parts), bends)


def _part(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    if value is not None and not isinstance(value, str):
        raise AnswerError(f"{name}: {quote(str(value))} is no text", "field of another type")
    return value or ""


def _checked(instruction: str, description: str) -> Step:
    try:
        step = parse_plan(plan_text(instruction, description))
    except MarkupError as e:
        raise AnswerError(str(e), "tag or control token" if "holds" in str(e) else "field missing") from None
    check_prose(step[0], "the instruction")
    check_prose(step[1], "the description")
    return step


def _no_step(words: str) -> AnswerError:
    if refuses(words):
        return AnswerError(f"the answer refuses: {quote(words)}", "refusal")
    if re.search(r"<(?:ins|des)>", words) and not words.endswith(">"):
        return AnswerError(f"not <ins>…</ins><des>…</des>, it ends too early: {quote(words)}", "cut at the limit")
    return AnswerError(f"not <ins>…</ins><des>…</des>: {quote(words)}", "no step")
