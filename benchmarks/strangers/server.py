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
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from PIL import Image

from benchmarks.strangers.painter import COLOURS, shown
from benchmarks.strangers.scenes import MANNERS, MOODS, plain, prompts, understood, vocabulary, worded
from benchmarks.strangers.unrendering import Unrendering
from underpaint.schemas.markup import BLANK, DONE
from underpaint.schemas.scenes.compare import compare, match
from underpaint.schemas.scenes.edit import Edit, Op, apply, instruct, read_instruction
from underpaint.schemas.scenes.grammar import GrammarError, describe
from underpaint.schemas.scenes.inspection import inspect_picture, inspect_text, why_stuck
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.judgement.step_consistency import disagreement

Reply = tuple[str, str]  # the words, and the finish reason

Said = dict[str, str]
Pictures = list[Image.Image]


WHOLE = "Paint this: "  # an instruction that repeats the prompt


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
        before = _before(said)
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

    def _reword_steps(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        moods = [mood for mood in MOODS if mood in said["prompt"]]
        opening, manner, steps = rng.randrange(9), rng.choice(MANNERS), []
        for step in json.loads(said["steps"]):
            told = " ".join([worded(understood(step["description"]), opening), *moods])
            steps.append({"instruction": step["instruction"].removesuffix(".") + f"{manner}.", "description": told})
        return json.dumps({"steps": steps}), "stop"

    def _critique_text(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        critique = inspect_text(self._scene(said["prompt"]), *self._step(said), vocabulary())
        return _bent(json.loads(critique.to_json()), form)

    def _check_agreement(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        so_far = "" if said["so_far"] == BLANK else describe(understood(said["so_far"]), vocabulary())
        told = describe(understood(said["description"]), vocabulary())
        return _yes(disagreement(so_far or BLANK, plain(said["instruction"]), told, vocabulary()) == "")

    def _check_keeps(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        before, edit, _ = self._step(said)
        prompt = self._scene(said["prompt"])
        kept = {o.id for o in compare(before, prompt).missing}
        return _yes(all(o.id in kept for o in compare(apply(before, edit), prompt).missing))

    def _check_reach(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        described, prompt = understood(said["description"]), self._scene(said["prompt"])
        return _yes(not compare(described, prompt).faults and not why_stuck(described, prompt, vocabulary()))

    def _check_correction(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        before, prompt = _before(said), self._scene(said["prompt"])
        try:
            mended = apply(before, read_instruction(plain(said["correction"]), before, vocabulary()))
        except (GrammarError, KeyError):
            return _yes(False)
        return _yes(not compare(mended, prompt).faults and not why_stuck(mended, prompt, vocabulary()))

    def _check_critique(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        critique = json.loads(said["critique"])
        wrong = critique["verdict"] == "conflict"
        if said["side"] == "text":
            truth = inspect_text(self._scene(said["prompt"]), *self._step(said), vocabulary())
            return _yes((truth.verdict == "conflict") == wrong)
        return _yes(bool(critique["findings"]) == wrong)

    def _check_mending(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        return _yes(len(said["findings"].splitlines()) == 1)

    def _step(self, said: Said) -> tuple[SceneGraph, Edit, SceneGraph]:
        """(scene before, edit, scene described) of a step."""
        before, asked = _before(said), plain(said["instruction"])
        if asked.startswith(WHOLE):
            edit = Edit(op=Op.PAINT, scene=self._scene(asked.removeprefix(WHOLE)))
        else:
            edit = read_instruction(asked, before, vocabulary())
        return before, edit, self._scene(said["description"])

    def _critique_picture(self, said: Said, pictures: Pictures, rng: random.Random, form: Form | None) -> Reply:
        if match := re.fullmatch(r"A plain (\w+) picture with nothing else in it\.", said["description"]):
            return _bent(_plain_critique(pictures[-1], match[1]), form)
        try:
            seen = understood(shown(pictures[-1]))
        except ValueError:
            seen = SceneGraph()  # a plain colour
        one_by_one = [
            o.model_copy(update={"id": f"{o.id}-{i}", "count": 1}) for o in seen.objects for i in range(o.count)
        ]
        critique = inspect_picture(one_by_one, seen.background, understood(said["description"]), vocabulary())
        return _bent(json.loads(critique.to_json()), form)

    def _scene(self, prompt: str) -> SceneGraph:
        return self.long.get(prompt) or prompts().get(prompt) or understood(prompt)


def _bent(answer: dict[str, Any], form: Form | None) -> Reply:
    return (form.make(answer), form.finish_reason) if form else (json.dumps(answer), "stop")


def _plain_critique(picture: Image.Image, colour: str) -> dict[str, Any]:
    """The critique of a picture that should have one colour."""
    same = len(set(picture.convert("RGB").getdata())) == 1
    found = [] if same else [{"kind": "unwanted_object", "detail": "there is more than a plain colour"}]
    return {
        "observed": [f"a plain {colour} picture" if same else "a text"], "findings": found,
        "verdict": "consistent" if same else "conflict", "analysis": "It is plain." if same else "It is not plain.",
        "correction": "" if same else f"Paint all of it {colour}.",
    }  # fmt: skip


def _yes(answer: bool) -> Reply:
    why = "It is so, by what the texts say." if answer else "The texts say otherwise."
    return json.dumps({"why": why, "answer": "yes" if answer else "no"}), "stop"


def _before(said: Said) -> SceneGraph:
    return SceneGraph() if said["so_far"] == BLANK else understood(said["so_far"])


def _parts(content: str | list[dict[str, Any]]) -> tuple[str, Pictures]:
    """The words and the pictures of a message."""
    if isinstance(content, str):
        return content, []
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    pictures: Pictures = [Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))) for url in urls]
    return "".join(part["text"] for part in content if part["type"] == "text"), pictures
