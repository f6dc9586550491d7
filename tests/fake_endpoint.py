"""A small OpenAI-compatible server on 127.0.0.1, which keeps what it was sent and answers as a test tells it to."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

# (path, body) → (status, answer); an answer in bytes is sent as it is, as a page of HTML
Answer = Callable[[str, dict[str, Any]], tuple[int, dict[str, Any] | bytes]]


class FakeEndpoint(ThreadingHTTPServer):
    """`seen` holds (path, headers, body); multipart bodies as {"raw": bytes}."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.seen = answer, list[tuple[str, dict[str, str], dict[str, Any]]]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: FakeEndpoint

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw) if "json" in self.headers["Content-Type"] else {"raw": raw}
        self.server.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        status, answer = self.server.answer(self.path, body)
        page = isinstance(answer, bytes)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if page else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(answer: Answer) -> Iterator[FakeEndpoint]:
    with FakeEndpoint(answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def said(
    text: str | None, reason: str = "stop", refusal: str | None = None, logprobs: list[tuple[str, float]] | None = None
) -> dict[str, Any]:
    """A chat completion."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    choice: dict[str, Any] = {"index": 0, "finish_reason": reason, "message": message, "logprobs": None}
    if logprobs is not None:
        choice["logprobs"] = {"content": [{"token": t, "logprob": p, "top_logprobs": []} for t, p in logprobs]}
    usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    return {
        "id": "1", "object": "chat.completion", "created": 0, "model": "fake", "choices": [choice], "usage": usage,
    }  # fmt: skip


def painted(picture: Image.Image) -> dict[str, Any]:
    """An answer of the endpoints for pictures."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return {"created": 0, "data": [{"b64_json": base64.b64encode(buffer.getvalue()).decode()}]}
