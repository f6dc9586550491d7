"""What goes to the chat API of OpenAI-compatible servers, what comes back, and the form in which answers are kept."""

from __future__ import annotations

import base64
import io
import threading
from functools import lru_cache
from typing import Annotated, Any, Literal

from PIL import Image
from pydantic import BaseModel, BeforeValidator, Field

from underpaint.schemas.markup import writable
from underpaint.stages.common.roles import Answer, AskRequest, Turn

Structured = Literal["json_schema", "json_object", "none"]
# An answer as it is kept, in values of JSON: a painter's picture in base64, or a speaker's words with what is known of
# them. Words alone were kept by former versions.
Record = str | dict[str, Any]
ENCODED = 64  # pictures kept in their encoded form; the k questions about one come one after the other
_ENCODING = threading.Lock()

Text = Annotated[str, BeforeValidator(lambda said: writable(said) if isinstance(said, str) else said)]


class _Token(BaseModel):
    token: Text
    logprob: float


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Message(BaseModel):
    content: Text | None = None
    refusal: Text | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Completion(BaseModel):
    """A chat completion: the fields that are read of it."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None

    def record(self) -> dict[str, Any]:
        """What is kept of it: fields that say nothing are left out; `tokens` are those read and written."""
        choice, usage = self.choices[0], self.usage
        filtered = "the server's content filter" if choice.finish_reason == "content_filter" else ""
        chances = choice.logprobs.content if choice.logprobs else None
        known = {
            "cut": choice.finish_reason == "length",
            "refused": choice.message.refusal or filtered,
            "logprobs": [[t.token, t.logprob] for t in chances or []],
            "tokens": [usage.prompt_tokens, usage.completion_tokens] if usage else None,
        }
        return {"text": (choice.message.content or "").strip(), **{k: v for k, v in known.items() if v}}


class _Picture(BaseModel):
    b64_json: str | None = None


class Pictures(BaseModel):
    """An answer of the endpoints for pictures."""

    data: list[_Picture] | None = None


def answer_in(record: Record) -> Answer:
    """The answer that was kept."""
    if isinstance(record, str):
        return Answer(record)
    chances = tuple((token, chance) for token, chance in record.get("logprobs", ()))
    return Answer(record["text"], record.get("cut", False), record.get("refused", ""), chances)


def forms(request: AskRequest, structured: Structured) -> list[tuple[str, dict[str, Any] | None]]:
    """(name, `response_format`) of the forms in which to ask for the answer, best first; words alone are the last.

    OpenAI's own servers take fewer schemas where they are to be followed strictly.
    """
    free: tuple[str, dict[str, Any] | None] = ("none", None)
    if request.schema is None or structured == "none":
        return [free]
    if structured == "json_object":
        return [("json_object", {"type": "json_object"}), free]
    return [("json_schema, strict", _held(request, True)), ("json_schema, loose", _held(request, False)), free]


def _held(request: AskRequest, strict: bool) -> dict[str, Any]:
    held = {"name": request.task, "strict": strict, "schema": request.schema}
    return {"type": "json_schema", "json_schema": held}


def message(turn: Turn) -> dict[str, Any]:
    """A message in the form of the chat API; a turn without pictures is plain text."""
    if not turn.pictures:
        return {"role": turn.role, "content": turn.text}
    shown = [{"type": "image_url", "image_url": {"url": data_url(p)}} for p in turn.pictures]
    return {"role": turn.role, "content": [*shown, {"type": "text", "text": turn.text}]}


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG file, packed quickly rather than tightly."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def data_url(picture: Image.Image) -> str:
    """The picture as a URL that holds it. One asked about several times, by threads at once, is encoded once."""
    with _ENCODING:
        return _data_url(_Same(picture))


class _Same:
    """A picture as a key: equal to itself only, since comparing pixels would take longer than encoding them."""

    def __init__(self, picture: Image.Image) -> None:
        self.picture = picture

    def __hash__(self) -> int:
        return id(self.picture)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.picture is self.picture


@lru_cache(maxsize=ENCODED)
def _data_url(key: _Same) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(key.picture)).decode()}"


def refuses_form(error: str) -> bool:
    """Whether a server's error speaks of the form that was asked for."""
    words = ("response_format", "schema", "json_", "guided", "grammar", "structured")
    return any(word in error.lower() for word in words)
