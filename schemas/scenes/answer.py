"""Reads a model's answer that is one JSON object; errors name the field that is wrong."""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


def parse_answer(answer: str, form: type[M], error: type[ValueError]) -> M:
    """Parse the JSON object of an answer, bare or inside a ``` fence, as the model `form`.

    Raises `error` naming the field that is missing or wrong, or the place where the JSON breaks.
    """
    text = answer.strip()
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    try:
        return form.model_validate(json.loads(text))
    except json.JSONDecodeError as e:
        raise error(f"not JSON: {e.msg} at character {e.pos}") from None
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the whole"
        raise error(f"{field}: {first['msg']}") from None
