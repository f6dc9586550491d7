"""Models that fail on purpose, for recipes of the kind ``{kind: python, factory: "poison:…"}``."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from underpaint.schemas.scenes.critique import Critique, Finding, Verdict
from underpaint.stages.common.roles import Answer, AskRequest, PaintRequest
from underpaint.stages.judgement.canaries import PLAIN
from underpaint.stages.models.drawn import DrawnPainter
from underpaint.stages.models.symbolic import Symbolic

WORLD = "underpaint.miniature.world"


class TornPainter(DrawnPainter):
    """Every picture of a star comes back as half a file."""

    def __init__(self) -> None:
        super().__init__(WORLD, fault_rate=0.25)

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        painted = zip(requests, super().paint(requests), strict=True)
        return [_torn(p) if "star" in r.instruction else p for r, p in painted]


def _torn(picture: Image.Image) -> Image.Image:
    whole = io.BytesIO()
    picture.save(whole, "PNG")
    return Image.open(io.BytesIO(whole.getvalue()[: len(whole.getvalue()) // 2]))


class Mumbler(Symbolic):
    """Says nothing that parses about cups, and writes no markup for prompts with a boat."""

    def __init__(self) -> None:
        super().__init__(WORLD, fault_rate=0.25)

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        return [_mumbled(r) or a for r, a in zip(requests, super().ask(requests), strict=True)]


def _mumbled(request: AskRequest) -> str:
    if request.task == "write":
        return "let us see" if "boat" in request.context["prompt"] else ""
    return '{"observed": [' if "cup" in request.context["description"] else ""


class Wavering(Symbolic):
    """A judge who does not finish every twelfth answer, and denies as many."""

    def __init__(self) -> None:
        super().__init__(WORLD)

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        return [_wavered(r.seed) or a for r, a in zip(requests, super().ask(requests), strict=True)]


def _wavered(seed: int) -> str:
    denial = '{"observed":[],"findings":[],"verdict":"consistent","analysis":"All is well.","correction":""}'
    return {0: '{"observed": [', 1: denial}.get(seed % 12, "")


class Suicidal(Symbolic):
    """Kills its own process once, on the first request after `flag` was laid out."""

    def __init__(self, flag: str) -> None:
        super().__init__(WORLD, fault_rate=0.25)
        self.flag = Path(flag)

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        if self.flag.exists():
            self.flag.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().ask(requests)


class Purist(Symbolic):
    """Where it is asked about perspective, it finds fault with every fish; where the step has a star, it mumbles."""

    def __init__(self) -> None:
        super().__init__(WORLD, fault_rate=0.25)

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        return [_purist(r) or a for r, a in zip(requests, super().ask(requests), strict=True)]


def _purist(request: AskRequest) -> str:
    if "perspective" in request.text and request.task == "critique_picture":
        if "star" in request.context["instruction"]:
            return "The horizon leans."
        if "fish" not in request.context["description"]:
            return ""
        finding = Finding(kind="wrong_perspective", detail="the fish is as large as a house")
        words = {"analysis": "The fish is as large as a house.", "correction": "Paint the fish smaller."}
        return Critique(observed=(), findings=(finding,), verdict=Verdict.CONFLICT, **words).to_json()
    return ""


class Embellisher(Symbolic):
    """Adds nine stars to every long prompt, and leaves out all facts where a car is among them."""

    def __init__(self) -> None:
        super().__init__(WORLD)

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        return [
            a if r.task != "enrich_prompt" else _embellished(r, a)
            for r, a in zip(requests, super().ask(requests), strict=True)
        ]


def _embellished(request: AskRequest, answer: str) -> str:
    return "Nothing but still air." if "car" in request.context["facts"] else f"{answer} Beside it are nine stars."


class Parrot(Symbolic):
    """Says the same words to all requests of one task; "{seed}" among them is the request's."""

    def __init__(self, task: str, words: str) -> None:
        super().__init__(WORLD, fault_rate=0.25)
        self.task, self.words = task, words

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        said = self.words.format
        return [said(seed=r.seed) if r.task == self.task else super(Parrot, self).ask([r])[0] for r in requests]


class Prophet(Symbolic):
    """Tells in the first description what comes last, wherever there are several steps."""

    def __init__(self) -> None:
        super().__init__(WORLD)

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        return [self.told(r, a) for r, a in zip(requests, super().ask(requests), strict=True)]

    def told(self, request: AskRequest, answer: str) -> str:
        """Another answer to a request for steps."""
        if request.task != "reword_steps":
            return answer
        steps = json.loads(answer)["steps"]
        steps[0]["description"] = steps[-1]["description"]
        return json.dumps({"steps": steps})


class Keeper(Prophet):
    """Puts a lighthouse into the last description."""

    def told(self, request: AskRequest, answer: str) -> str:
        if request.task != "reword_steps":
            return answer
        steps = json.loads(answer)["steps"]
        steps[-1]["description"] += " All this is seen from a lighthouse."
        return json.dumps({"steps": steps})


class Refuser(Prophet):
    """Writes and words no plan."""

    def told(self, request: AskRequest, answer: str) -> str:
        return "I'm sorry, but I can't help with that." if request.task in ("reword_steps", "write_plan") else answer


class Knower(Symbolic):
    """A writer that knows what a heron waits for; `answer` is what it says of the prompt."""

    def __init__(self, answer: str) -> None:
        super().__init__(WORLD)
        self.said = answer

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        return [self.said if r.task == "parse_prompt" else super(Knower, self).ask([r])[0] for r in requests]


class Hasty(Prophet):
    """Writes only the first step of a plan."""

    def told(self, request: AskRequest, answer: str) -> str:
        return json.dumps({"steps": json.loads(answer)["steps"][:1]}) if request.task == "write_plan" else answer


class Unloadable(Symbolic):
    """Does not load."""

    def __init__(self) -> None:
        raise FileNotFoundError("half of the weights are missing")


class Regicide(Symbolic):
    """Kills Ray's own process on this node, the raylet, on the first request."""

    def __init__(self) -> None:
        super().__init__(WORLD)

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        os.kill(os.getppid(), signal.SIGKILL)
        return super().ask(requests)


class Severe(Symbolic):
    """A judge of pictures who says how bad each fault is; with no `worst` it does not."""

    def __init__(self, worst: int | None = 3) -> None:
        super().__init__(WORLD)
        self.worst = worst

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        return [self._severe(answer) for answer in super().ask(requests)]

    def _severe(self, answer: str) -> str:
        critique = Critique.model_validate_json(answer)
        severity = self.worst if critique.findings else 0
        return critique.to_json() if self.worst is None else f'{answer[:-1]},"severity":{severity}}}'


class Stranger(Symbolic):
    """A judge for free language, who also knows plain colours and a prompt repeated; `fault` begins after some calls.

    "prose" is no form at all, "refused" and "cut" end so, "previous" answers for the picture before the one asked,
    and "fenced" is right, but has a fence around it.
    """

    grammar_only = False

    def __init__(self, fault: str = "", after: int = 0) -> None:
        super().__init__(WORLD, fault_rate=0.25)
        self.fault, self.left = fault, after

    def ask(self, requests: Sequence[AskRequest]) -> list[Any]:
        if not requests[0].task.startswith("critique"):
            return super().ask(requests)
        self.left -= 1
        if self.left >= 0 or not self.fault:
            return [self._judged(r) for r in requests]
        if self.fault == "previous":
            shown = [r.pictures for r in requests]
            return [self._judged(replace(r, pictures=p)) for r, p in zip(requests, [shown[-1], *shown], strict=False)]
        if self.fault == "fenced":
            return [f"```json\n{self._judged(r)}\n```" for r in requests]
        if self.fault == "prose":
            return [Answer(f"Number {r.seed} shows what it should, I think; well done!") for r in requests]
        words = {
            "refused": Answer("", refused="I cannot help with that."),
            "cut": Answer('{"observed": ["a red', cut=True),
        }
        return [words[self.fault]] * len(requests)

    def _judged(self, request: AskRequest) -> str:
        said, fine = request.context, {"verdict": Verdict.CONSISTENT, "analysis": "So it is.", "correction": ""}
        if request.task == "critique_text" and said["description"] == said["prompt"]:
            return Critique(observed=(), findings=(), **fine).to_json()
        if request.picture is None or not said["description"].startswith("A plain "):
            return super().ask([request])[0]
        if request.picture.getpixel((0, 0)) == PLAIN[said["description"].split()[2]]:
            return Critique(observed=(), findings=(), **fine).to_json()
        finding = Finding(kind="wrong_background", detail="another colour")
        words = {"analysis": "It is another colour.", "correction": "Paint it plain."}
        return Critique(observed=(), findings=(finding,), verdict=Verdict.CONFLICT, **words).to_json()
