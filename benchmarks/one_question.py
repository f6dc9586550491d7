"""Writes docs/one_question.md: one question as GPT, Qwen and the miniature get it, from the code that asks them.

    python -m benchmarks.one_question > docs/one_question.md

GPT's is what a server on this machine received. Qwen's and the miniature's are what their chat templates make of it:
the miniature's is in its checkpoint; Qwen's (of Qwen2.5-VL-7B-Instruct, without its branches for videos and numbered
pictures) is written out here, as its checkpoint is not at hand.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from PIL import Image

from underpaint.pipeline.common.installation import ROOT
from underpaint.stages.common.asking import request_for
from underpaint.stages.common.critique_formats import answer_schema
from underpaint.stages.common.roles import AskRequest
from underpaint.stages.common.templating import load_template
from underpaint.stages.models.endpoint import Endpoint
from underpaint.stages.models.speaker import TransformersSpeaker

STEP = {
    "prompt": "A red car and a blue cup on a sand background.",
    "instruction": "Add a blue cup at the top right.",
    "description": "A red car at the top left and a blue cup at the top right on a sand background.",
}
QWEN = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ANSWER = {"observed": [], "findings": [], "verdict": "consistent", "analysis": "a", "correction": ""}
PAGE = """\
# One question as each model gets it

Made by `python -m benchmarks.one_question > docs/one_question.md`, which asks through the code that a build asks
through; a test holds the page to it. The question is that of the picture side: does the picture after the second step
of "{prompt}" show what the step's description says? The words are
`{general}` for GPT and Qwen, and `{dialect}` for the
miniature.

## GPT, over the chat API

The body of the one request, as the server received it. Pictures are shortened here. Servers that refuse
`response_format` of this kind are asked once more in a plainer form; the words alone tell how to answer, too.

```json
{gpt}
```

## Qwen, in process

The text that Qwen2.5-VL's published chat template makes of the same request; each `<|image_pad|>` becomes as many
tokens as the picture has patches. The answer is held to the same JSON Schema while it is written.

```text
{qwen}
```

## The miniature

The miniature was taught a dialect of a few words, and sees the picture after the step alone. It is sent no schema, and
asked once.

```text
{miniature}
```
"""


class _Server(HTTPServer):
    seen: bytes = b""


class _Keeps(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        self.server.seen = self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": json.dumps(ANSWER)}
        whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "gpt"}
        data = json.dumps({**whole, "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def question(folder: str) -> AskRequest:
    """The question of the picture side in the words of a folder's template, as the panel asks it."""
    template = load_template(ROOT / folder / "critique_picture.md.j2")
    pictures = {"before": Image.new("RGB", (64, 64), "white"), "after": Image.new("RGB", (64, 64), "white")}
    return request_for(template, STEP, 7, pictures=pictures, schema=answer_schema(template, STEP))


def as_gpt(request: AskRequest) -> str:
    """The body that an OpenAI-compatible server receives, pictures shortened."""
    with _Server(("127.0.0.1", 0), _Keeps) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/v1"
        Endpoint(base_url=address, model="gpt-5", send_temperature=False, max_tokens=16000).ask([request])
        body = json.loads(server.seen)
    for message in body["messages"]:
        for part in message["content"] if isinstance(message["content"], list) else []:
            if "image_url" in part:
                part["image_url"]["url"] = part["image_url"]["url"].partition(",")[0] + ",…"
    return json.dumps(body, indent=1, ensure_ascii=False)


def page() -> str:
    """The whole page."""
    general, dialect = "stages/templates", "miniature/templates"
    folder = ROOT / "miniature" / "checkpoints" / "speaker"
    miniature = TransformersSpeaker(folder, device="cpu").rendered(question(dialect))
    qwen = TransformersSpeaker(folder, device="cpu", chat={"chat_template": QWEN}).rendered(question(general))
    files = {"general": f"{general}/critique_picture.md.j2", "dialect": f"{dialect}/critique_picture.md.j2"}
    return PAGE.format(
        prompt=STEP["prompt"], gpt=as_gpt(question(general)), qwen=qwen.strip(), miniature=miniature.strip(), **files
    )


if __name__ == "__main__":
    sys.stdout.write(page())
