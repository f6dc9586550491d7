"""The writer, judge and painter roles over OpenAI-compatible endpoints: GPT, Qwen-VL on vLLM, BAGEL behind a server.

What such a model says is not repeatable, so what it said is kept: every answer goes into `memory` under the digest of
its request, and a request that is in there is not sent again. The pipeline gives each lot a memory of its own on disk.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import openai
from PIL import Image

from underpaint.schemas.corpus.picture import decode_picture
from underpaint.stages.common.roles import AskRequest, ModelUnavailable, PaintRequest, Turn

R = TypeVar("R")
SEEDS = 2**31  # servers take seeds of 32 bits
GONE = (
    openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError, openai.APIConnectionError,
)  # fmt: skip


class EndpointError(Exception):
    """The endpoint gave no usable answer to one request; the message has the status code, or what was wrong."""


class Endpoint:
    """One model behind `base_url`, asked `concurrency` requests at a time.

    Codes 408, 409, 429 and 5xx are retried up to `retries` times, after the wait that the server asks for. `extra` is
    sent with every request; the temperature is sent only with `send_temperature`. `size` is the side of painted
    pictures in pixels. `key` names the environment variable that holds the key; "" sends none.
    """

    def __init__(
        self, *, base_url: str, model: str, key: str = "", max_tokens: int = 1024, size: int = 1024,
        concurrency: int = 16, timeout: float = 120.0, retries: int = 4, extra: Mapping[str, Any] | None = None,
        send_temperature: bool = True,
    ) -> None:  # fmt: skip
        self.model, self.max_tokens, self.size, self.concurrency = model, max_tokens, size, concurrency
        self.extra, self.send_temperature = dict(extra or {}), send_temperature
        self._key = os.environ.get(key, "") if key else ""
        self._client = openai.OpenAI(
            base_url=base_url, api_key=self._key or "none", timeout=timeout, max_retries=retries
        )  # fmt: skip
        self.memory: MutableMapping[str, str] = {}
        self._failed: dict[str, EndpointError] = {}

    def remember(self, memory: MutableMapping[str, str]) -> None:
        """Use this memory from now on: look up requests in it first, and store answers there."""
        self.memory, self._failed = memory, {}

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        """One answer per request, in order. Raises EndpointError or ModelUnavailable, after all were asked."""
        return self._all([(r.digest, partial(self._say, r)) for r in requests])

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        """One RGB picture of `size` × `size` pixels per request, in order. Raises as `ask`, and PictureError."""
        files = self._all([(r.digest, partial(self._draw, r)) for r in requests])
        return [self._picture(base64.b64decode(f)) for f in files]

    def _all(self, jobs: Sequence[tuple[str, Callable[[], str]]]) -> list[str]:
        with ThreadPoolExecutor(self.concurrency) as threads:
            answers = list(threads.map(lambda job: self._once(*job), jobs))
        for answer in answers:  # raise only after all were asked, so that every good answer is in memory
            if isinstance(answer, Exception):
                raise answer
        return [a for a in answers if isinstance(a, str)]

    def _once(self, request: str, send: Callable[[], str]) -> str | EndpointError | ModelUnavailable:
        """Answer from memory or send the request. A request that failed for good is not sent again for this lot."""
        if request in self._failed:
            return self._failed[request]
        if request not in self.memory:
            try:
                self.memory[request] = send()
            except (openai.OpenAIError, EndpointError) as e:
                if _gone(e):
                    return ModelUnavailable(f"{self.model} at {self._client.base_url}: {self._bare(e)}")
                self._failed[request] = EndpointError(f"{self.model}: {self._bare(e)}")
                return self._failed[request]
        return self.memory[request]

    def _bare(self, error: Exception) -> str:
        """The error's message with the key taken out, since a server may repeat it."""
        text = f"{type(error).__name__}: {error}"
        return text.replace(self._key, "[key]") if self._key else text

    def _say(self, r: AskRequest) -> str:
        answer: Any = self._client.chat.completions.create(
            model=self.model, messages=[_message(turn) for turn in r.messages()],  # type: ignore[misc]
            temperature=r.temperature if self.send_temperature else openai.omit,
            seed=r.seed % SEEDS, max_completion_tokens=self.max_tokens,
            extra_body=self.extra or None,
        )  # fmt: skip
        choice = answer.choices[0] if answer.choices else None
        text = choice.message.content if choice else None
        if not text:
            raise EndpointError(f"answered without text (finish reason {choice.finish_reason if choice else 'none'})")
        return str(text).strip()

    def _draw(self, r: PaintRequest) -> str:
        """The painted picture in base64. The first step is generated; later ones edit the previous picture."""
        common: dict[str, Any] = {
            "model": self.model, "prompt": r.instruction, "n": 1, "size": f"{self.size}x{self.size}",
            "extra_body": {"seed": r.seed % SEEDS, "response_format": "b64_json", **self.extra},
        }  # fmt: skip
        if r.previous is None:
            answer = self._client.images.generate(**common)
        else:
            answer = self._client.images.edit(image=("previous.png", _png(r.previous), "image/png"), **common)
        data = answer.data[0].b64_json if answer.data else None
        if not data:
            raise EndpointError("answered without a picture in base64; links are not followed")
        return str(data)

    def _picture(self, data: bytes) -> Image.Image:
        """Decode a picture and resize it to `size` × `size`. Raises PictureError."""
        picture, wanted = decode_picture(data), (self.size, self.size)
        return picture if picture.size == wanted else picture.resize(wanted, Image.Resampling.LANCZOS)


def _gone(error: Exception) -> bool:
    """Whether no request can succeed: no server, no access, or no credit left (code 402, or "insufficient_quota")."""
    spent = getattr(error, "status_code", 0) == 402 or getattr(error, "code", "") == "insufficient_quota"
    return spent or isinstance(error, GONE)


def _message(turn: Turn) -> dict[str, Any]:
    """A message in the form of the chat API; a turn without pictures is plain text."""
    if not turn.pictures:
        return {"role": turn.role, "content": turn.text}
    urls = (f"data:image/png;base64,{base64.b64encode(_png(p)).decode()}" for p in turn.pictures)
    shown = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": turn.role, "content": [*shown, {"type": "text", "text": turn.text}]}


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
