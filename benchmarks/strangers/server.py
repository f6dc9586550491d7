"""A judge and writer that nobody taught our words: it answers in every usual form by turns, over an OpenAI endpoint.

It knows the truth of every question, so that what it answers is right whatever its form. Turned bad, it answers for the
picture before, refuses, or is cut.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from PIL import Image

from benchmarks.strangers.painter import COLOURS, shown
from benchmarks.strangers.scenes import prompts, understood, vocabulary, worded
from benchmarks.strangers.unrendering import Unrendering
from underpaint.schemas.markup import BLANK, DONE
from underpaint.schemas.scenes.compare import match
from underpaint.schemas.scenes.edit import Edit, Op, apply, instruct, read_instruction
from underpaint.schemas.scenes.inspection import inspect_picture, inspect_text
from underpaint.schemas.scenes.scene import SceneGraph

Reply = tuple[str, str]  # the words, and the finish reason

Said = dict[str, str]
Pictures = list[Image.Image]
MOODS = (
    "A faint haze softens the far edge of the scene.", "The light falls low and warm from one side.",
    "The colours are muted, as in an old print.", "The mood is quiet and a little solemn.",
    "The strokes are loose where the eye seldom rests.", "Everything is drawn with a patient hand.",
)  # fmt: skip


class Form(Protocol):
    """A usual form of answer; tests/answer_forms.py has them."""

    finish_reason: str

    def make(self, critique: dict[str, Any], /) -> str:
        """The answer's words."""


class Stranger:
    """Answers every built-in template. `errs` is the share of steps that it writes wrongly; `forms` bend critiques.

    After `after` questions it turns `bad`: "pictures", "refusals" or "cut".
    """

    def __init__(self, errs: float, forms: Sequence[Form], bad: str | None = None, after: int = 0) -> None:
        self.errs, self.forms, self.patterns, self.bad, self.after = errs, forms, Unrendering(), bad, after
        self.last: Pictures = []
        self.asked: Counter[str] = Counter()
        self.long: dict[str, SceneGraph] = {}  # long prompts that it wrote

    def answer(self, body: dict[str, Any]) -> Reply:
        """The answer to the body of a chat request; a question that was put again is answered plainly."""
        asked = [m for m in body["messages"] if m["role"] == "user"]
        for turn in reversed(asked):
            text, pictures = _parts(turn["content"])
            try:
                template, said = self.patterns.read(text)
                break
            except LookupError:
                continue
        else:
            raise LookupError(f"of no template: {_parts(asked[-1]['content'])[0]}")
        bad = self.bad if sum(self.asked.values()) >= self.after else None
        if bad == "pictures" and pictures:
            pictures, self.last = self.last or pictures, pictures
        again = turn is not asked[-1]
        self.asked[template.task + (", again" if again else "")] += 1
        rng = random.Random(hashlib.sha256(json.dumps([text, body.get("seed", 0)]).encode()).digest())
        form = None if again or not self.forms else self.forms[sum(self.asked.values()) % len(self.forms)]
        if bad == "refusals":
            return "I'm sorry, but I can't help with that.", "stop"
        words, reason = getattr(self, f"_{template.task}")(said, pictures, rng, form)
        return (words[: len(words) // 2], "length") if bad == "cut" else (words, reason)

    def _parse_prompt(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        return _bent(json.loads(prompts()[said["prompt"]].model_dump_json()), None)

    def _enrich_prompt(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        scene = understood(said["facts"])
        text = worded(scene, rng.randrange(9)) + " " + " ".join(rng.sample(MOODS, 4))
        self.long[text] = scene
        return text, "stop"

    def _write(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        prompt, words = self._scene(said["prompt"]), vocabulary()
        before = SceneGraph() if said["so_far"] == BLANK else understood(said["so_far"])
        there = {theirs.id for _, theirs in match(before.objects, prompt.objects) if theirs is not None}
        missing = [o for o in prompt.objects if o.id not in there]
        if not missing:
            return DONE, "stop"
        node = missing[0].model_copy(update={"id": f"o{len(before.objects)}"})
        if rng.random() < self.errs:
            node = node.with_attribute("colour", rng.choice([c for c in COLOURS if c != node.attributes.get("colour")]))
        if before.objects:
            edit = Edit(op=Op.ADD, node=node)
        else:
            edit = Edit(op=Op.PAINT, scene=SceneGraph(objects=(node,), background=prompt.background))
        after = apply(before, edit)
        return f"<ins>{instruct(before, edit, words)}</ins><des>{worded(after, rng.randrange(9))}</des>", "stop"

    def _critique_text(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        before = SceneGraph() if said["so_far"] == BLANK else understood(said["so_far"])
        edit = read_instruction(said["instruction"], before, vocabulary())
        described, prompt = understood(said["description"]), self._scene(said["prompt"])
        critique = inspect_text(prompt, before, edit, described, vocabulary())
        return _bent(json.loads(critique.to_json()), form)

    def _critique_picture(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        seen = understood(shown(pictures[-1]))
        one_by_one = [
            o.model_copy(update={"id": f"{o.id}-{i}", "count": 1}) for o in seen.objects for i in range(o.count)
        ]
        critique = inspect_picture(one_by_one, seen.background, understood(said["description"]), vocabulary())
        return _bent(json.loads(critique.to_json()), form)

    def _scene(self, prompt: str) -> SceneGraph:
        return self.long.get(prompt) or prompts().get(prompt) or understood(prompt)


def _bent(answer: dict[str, Any], form: Form | None) -> Reply:
    return (form.make(answer), form.finish_reason) if form else (json.dumps(answer), "stop")


def _parts(content: str | list[dict[str, Any]]) -> tuple[str, Pictures]:
    """The words and the pictures of a message."""
    if isinstance(content, str):
        return content, []
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    pictures: Pictures = [Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))) for url in urls]
    return "".join(part["text"] for part in content if part["type"] == "text"), pictures
