"""The writer, judge and painter roles over OpenAI-compatible endpoints: GPT, Qwen-VL on vLLM, BAGEL behind a server.

What such a model says is not repeatable, so what it said is kept: every answer goes into `memory` under the digest of
its request, and a request that is in there is not sent again. The pipeline gives each lot a memory of its own on disk.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import openai
from PIL import Image
from pydantic import BaseModel

from underpaint.schemas.corpus.picture import decode_picture
from underpaint.stages.common.roles import Answer, AskRequest, ModelUnavailable, PaintRequest
from underpaint.stages.models.chat_api import (
    Completion,
    Pictures,
    Record,
    Structured,
    answer_in,
    forms,
    message,
    png,
    refuses_form,
)

M = TypeVar("M", bound=BaseModel)
LOG = logging.getLogger(__name__)
SEEDS = 2**31  # servers take seeds of 32 bits
GONE = (
    openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError, openai.APIConnectionError,
)  # fmt: skip


class EndpointError(Exception):
    """The endpoint gave no usable answer to one request; the message has the status code, or what was wrong."""


class Endpoint:
    """One model behind `base_url`, asked `concurrency` requests at a time.

    Codes 408, 409, 429 and 5xx are retried up to `retries` times, after the wait that the server asks for. `extra` is
    sent with every request; the temperature is sent only with `send_temperature`. `structured` is how the form of an
    answer is asked for that has a JSON Schema; where the server refuses it, words alone ask for that answer from then
    on, which the log says, and the memory with every answer. With `logprobs`, answers say how probable their tokens
    were. `size` is the side of painted pictures in pixels. `key` names the environment variable that holds the key; ""
    sends none.
    """

    def __init__(
        self, *, base_url: str, model: str, key: str = "", max_tokens: int = 1024, size: int = 1024,
        concurrency: int = 16, timeout: float = 120.0, retries: int = 4, extra: Mapping[str, Any] | None = None,
        send_temperature: bool = True, structured: Structured = "json_schema", logprobs: bool = False,
    ) -> None:  # fmt: skip
        self.model, self.max_tokens, self.size, self.concurrency = model, max_tokens, size, concurrency
        self.extra, self.send_temperature = dict(extra or {}), send_temperature
        self._key = os.environ.get(key, "") if key else ""
        self._client = openai.OpenAI(
            base_url=base_url, api_key=self._key or "none", timeout=timeout, max_retries=retries
        )  # fmt: skip
        self.structured, self.logprobs = structured, logprobs
        self._form: dict[str, int] = {}  # by schema, the first of its forms that the server did not refuse
        self.memory: MutableMapping[str, Record] = {}
        self._failed: dict[str, EndpointError] = {}

    def remember(self, memory: MutableMapping[str, Record]) -> None:
        """Use this memory from now on: look up requests in it first, and store answers there."""
        self.memory, self._failed = memory, {}

    def ask(self, requests: Sequence[AskRequest]) -> list[Answer]:
        """One answer per request, in order. Raises EndpointError or ModelUnavailable, after all were asked.

        An answer without words is one, since it may be asked for again; it says whether it was cut or refused.
        """
        return [answer_in(kept) for kept in self._all([(r.digest, partial(self._say, r)) for r in requests])]

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        """One RGB picture of `size` × `size` pixels per request, in order. Raises as `ask`, and PictureError."""
        files = self._all([(r.digest, partial(self._draw, r)) for r in requests])
        return [self._picture(base64.b64decode(str(f))) for f in files]

    def _all(self, jobs: Sequence[tuple[str, Callable[[], Record]]]) -> list[Record]:
        with ThreadPoolExecutor(self.concurrency) as threads:
            answers = list(threads.map(lambda job: self._once(*job), jobs))
        for answer in answers:  # raise only after all were asked, so that every good answer is in memory
            if isinstance(answer, Exception):
                raise answer
        return [a for a in answers if not isinstance(a, Exception)]

    def _once(self, request: str, send: Callable[[], Record]) -> Record | EndpointError | ModelUnavailable:
        """Answer from memory or send the request. A request that failed for good is not sent again for this lot."""
        if request in self._failed:
            return self._failed[request]
        if request not in self.memory:
            try:
                self.memory[request] = send()
            except (openai.OpenAIError, EndpointError, UnicodeError) as e:  # half a character cannot be sent
                if _gone(e):
                    return ModelUnavailable(f"{self.model} at {self._client.base_url}: {self._bare(e)}")
                self._failed[request] = EndpointError(f"{self.model}: {self._bare(e)}")
                return self._failed[request]
        return self.memory[request]

    def _bare(self, error: Exception) -> str:
        """The error's message with the key taken out, since a server may repeat it."""
        text = f"{type(error).__name__}: {error}"
        return text.replace(self._key, "[key]") if self._key else text

    def _say(self, r: AskRequest) -> dict[str, Any]:
        """Ask in the best form that the server takes for this schema."""
        schema, tries = json.dumps(r.schema, sort_keys=True), forms(r, self.structured)
        first = self._form.get(schema, 0)
        for n, (name, form) in enumerate(tries[first:], first):
            try:
                said = self._complete(r, form).record()
            except (openai.BadRequestError, openai.UnprocessableEntityError) as e:
                if form is None or not refuses_form(str(e)):
                    raise
                LOG.warning("%s refuses %s for %s: %s", self.model, name, r.task, self._bare(e))
                continue
            if n > self._form.get(schema, 0):
                self._form[schema] = n
            return said if len(tries) == 1 else {**said, "form": name}
        raise AssertionError("the last form asks for none, and its errors are raised")

    def _complete(self, r: AskRequest, form: Mapping[str, Any] | None) -> Completion:
        sent: dict[str, Any] = {
            "model": self.model, "messages": [message(turn) for turn in r.messages()], "seed": r.seed % SEEDS,
            "max_completion_tokens": self.max_tokens, "extra_body": self.extra or None,
            **({"temperature": r.temperature} if self.send_temperature else {}),
            **({"response_format": form} if form else {}), **({"logprobs": True} if self.logprobs else {}),
        }  # fmt: skip
        return _read(Completion, self._client.chat.completions.with_raw_response.create(**sent))

    def _draw(self, r: PaintRequest) -> str:
        """The painted picture in base64. The first step is generated; later ones edit the previous picture."""
        common: dict[str, Any] = {
            "model": self.model, "prompt": r.instruction, "n": 1, "size": f"{self.size}x{self.size}",
            "extra_body": {"seed": r.seed % SEEDS, "response_format": "b64_json", **self.extra},
        }  # fmt: skip
        if r.previous is None:
            raw = self._client.images.with_raw_response.generate(**common)
        else:
            shown = ("previous.png", png(r.previous), "image/png")
            raw = self._client.images.with_raw_response.edit(image=shown, **common)
        answer = _read(Pictures, raw)
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


def _read(form: type[M], answer: Any) -> M:
    """The body of a server's answer. Raises EndpointError where it has another form: a proxy's page, torn JSON."""
    body: str = answer.http_response.text
    try:
        return form.model_validate(json.loads(body))
    except (ValueError, RecursionError):
        raise EndpointError(f"answered with no {form.__name__}: {body[:200]!r}") from None
