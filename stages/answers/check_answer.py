"""Reads the answer to a check of texts: one JSON object with a reason, and yes or no."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from underpaint.stages.answers.objects import find_object
from underpaint.stages.answers.reading import AnswerError, Read, Said, words_of

NAMES = {"why": "why", "reason": "why", "reasoning": "why", "answer": "answer"}


class CheckAnswer(BaseModel):
    """A model's answer to a check; yes means that all is well."""

    why: str = Field(max_length=600)
    answer: Literal["yes", "no"]

    @field_validator("answer", mode="before")
    @classmethod
    def _plain(cls, said: Any) -> Any:
        if isinstance(said, bool):
            return "yes" if said else "no"
        return said.strip().rstrip(".!").lower() if isinstance(said, str) else said


def read_check(answer: str | Said) -> Read[CheckAnswer]:
    """The reason and yes or no. Raises AnswerError."""
    words, bends = words_of(answer)
    found, _, loose = find_object(words, "answer", NAMES)
    try:
        return Read.of(CheckAnswer.model_validate({k: v for k, v in found.items() if k in NAMES}), bends | loose)
    except ValidationError as e:
        first = e.errors()[0]
        raise AnswerError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", "field of another type") from None


def check_schema() -> dict[str, Any]:
    """JSON Schema of the answer to a check."""
    return {**CheckAnswer.model_json_schema(), "additionalProperties": False}
