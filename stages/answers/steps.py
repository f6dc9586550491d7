"""Reads a whole plan from a writer's answer: an ordered list of steps, each an instruction and a description."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from underpaint.schemas.markup import MarkupError, parse_plan, plan_text
from underpaint.stages.answers.answer import AnswerError, Read, Said, quote, words_of
from underpaint.stages.answers.objects import closed_object, find_object, renamed_fields
from underpaint.stages.answers.text import check_prose

MOST_STEPS, LONGEST_TEXT = 12, 4000
NAMES = {name: "steps" for name in ("steps", "plan")}
PARTS = {"instruction": "instruction", "ins": "instruction", "description": "description", "des": "description"}
_LIST = re.compile(r"\[\s*\{.*\}\s*\]", re.DOTALL)


@dataclass(frozen=True)
class WrittenStep:
    """What is painted in a step, and what the picture shows after it."""

    instruction: str
    description: str


def steps_schema(least: int = 1, most: int = MOST_STEPS) -> dict[str, Any]:
    """The JSON Schema of a plan of so many steps."""
    text = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}
    step = closed_object({"instruction": text, "description": text})
    steps = {"type": "array", "items": step, "minItems": least, "maxItems": most}
    return closed_object({"steps": steps})


def read_steps(answer: str | Said, least: int = 1, most: int = MOST_STEPS) -> Read[tuple[WrittenStep, ...]]:
    """The steps of an answer, in order. Raises AnswerError where there are fewer or more, or one cannot be used."""
    words, bends = words_of(answer)
    if '"steps"' not in words and '"plan"' not in words and (bare := _LIST.search(words)):
        words = f'{{"steps": {bare[0]}}}'
        bends.add("bare list")
    found, _, loose = find_object(words, "steps", NAMES)
    said = found["steps"]
    if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
        raise AnswerError(f"steps: {quote(str(said))} is no list of objects", "field of another type")
    if not least <= len(said) <= most:
        wanted = str(most) if least == most else f"{least} to {most}"
        raise AnswerError(f"steps: there are {len(said)}, {wanted} are asked for", "number of steps")
    return Read.of(tuple(_step(i, one) for i, one in enumerate(said)), bends | loose)


def _step(i: int, said: dict[str, Any]) -> WrittenStep:
    fields = renamed_fields(said, PARTS)
    texts = []
    for name in ("instruction", "description"):
        text = fields.get(name)
        if not isinstance(text, str) or not text.strip():
            raise AnswerError(f"steps.{i}.{name}: is missing, or no text", "field missing")
        texts.append(" ".join(text.split()))
    try:
        step = WrittenStep(*parse_plan(plan_text(*texts)))
    except MarkupError as e:
        raise AnswerError(f"steps.{i}: {e}", "tag or control token") from None
    check_prose(step.instruction, f"steps.{i}.instruction:")
    check_prose(step.description, f"steps.{i}.description:")
    return step
