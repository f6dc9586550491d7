"""Reads the answer to a check of texts: one JSON object with a reason, and yes or no."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from pydantic import BaseModel, Field, field_validator

from underpaint.schemas.scenes.answer import parse_answer
from underpaint.stages.answers.reading import AnswerError, Read


class Said(Protocol):
    """A model's words."""

    @property
    def text(self) -> str: ...


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


def read_check(answer: Said) -> Read[CheckAnswer]:
    """The reason and yes or no. Raises AnswerError."""
    return Read(parse_answer(answer.text, CheckAnswer, AnswerError))


def check_schema() -> dict[str, Any]:
    """JSON Schema of the answer to a check."""
    return {**CheckAnswer.model_json_schema(), "additionalProperties": False}
