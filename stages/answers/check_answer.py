"""Reads the answer to a check of texts: one JSON object with a reason, and yes or no."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from underpaint.stages.answers.answer import AnswerError, Read, Said, quote, words_of
from underpaint.stages.answers.objects import closed_object, find_object

NAMES = {"why": "why", "reason": "why", "answer": "answer"}
WORDS: dict[str, Literal["yes", "no"]] = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}
LONGEST = 600  # characters of a reason


class CheckAnswer(BaseModel):
    """A model's answer to a check; yes means that all is well."""

    why: str
    answer: Literal["yes", "no"]


def read_check(answer: str | Said) -> Read[CheckAnswer]:
    """The reason and yes or no. Raises AnswerError for any other answer."""
    words, bends = words_of(answer)
    found, _, loose = find_object(words, "answer", NAMES)
    said, why = found["answer"], found.get("why")
    plain = str(said).strip().rstrip(".!").lower()
    if plain not in WORDS:
        raise AnswerError(f"answer: {quote(str(said))} is neither yes nor no", "unknown answer")
    if not isinstance(why, str) or not why.strip():
        raise AnswerError("why: this field is missing", "field missing")
    value = CheckAnswer(why=" ".join(why.split())[:LONGEST], answer=WORDS[plain])
    return Read.of(value, bends | loose | {"" if said == value.answer else "synonym of an answer"})


def check_schema() -> dict[str, Any]:
    """JSON Schema of the answer to a check."""
    parts = {"why": {"type": "string", "maxLength": LONGEST}, "answer": {"type": "string", "enum": ["yes", "no"]}}
    return closed_object(parts)
