"""Measures the writer and the judge, by the answers that are right by construction."""

from __future__ import annotations

import time
from typing import Any

from underpaint.miniature.additive_steps import random_step
from underpaint.miniature.dialogue_checks import described, grade
from underpaint.miniature.dialogues import MAKERS, Dialogue, one_by_one, templates
from underpaint.miniature.edits import random_edit
from underpaint.miniature.measure.outcomes import Outcomes
from underpaint.miniature.measure.painter import paint_cases, read_looks
from underpaint.miniature.scenes import HeldOut
from underpaint.miniature.world import vocabulary
from underpaint.schemas.markup import BLANK, DONE
from underpaint.schemas.scenes.compare import SceneFit, compare
from underpaint.schemas.scenes.critique import Verdict
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.inspection import inspect_picture
from underpaint.schemas.scenes.scene import PLACE
from underpaint.stages.answers.critique_answer import parse_critique
from underpaint.stages.answers.reading import CritiqueError
from underpaint.stages.common.roles import AskRequest
from underpaint.stages.models.painter import DiffusersPainter
from underpaint.stages.models.speaker import TransformersSpeaker

BARS = {
    "picture/observed exact": "≥ 0.95",
    "text/observed exact": "≥ 0.95",
    "picture/verdict": "≥ 0.95",
    "text/verdict": "≥ 0.97",
    "text/false alarm, incomplete": "≤ 0.02",
    "picture/parses": "≥ 0.995",
    "text/parses": "≥ 0.995",
    "write/consistent": "≥ 0.90, ≤ 0.98",
}


def ask(speaker: TransformersSpeaker, cases: list[Dialogue]) -> list[str]:
    """The greedy answers to the requests of dialogues."""
    return texts(
        speaker, [AskRequest(c.task, c.request, i, (c.picture,) if c.picture else ()) for i, c in enumerate(cases)]
    )


def texts(speaker: TransformersSpeaker, requests: list[AskRequest]) -> list[str]:
    """The words of the answers."""
    return [answer.text for answer in speaker.ask(requests)]


def measure(speaker: TransformersSpeaker, n: int, rates: dict[str, float]) -> Outcomes:
    """Grade the greedy answers to `n` requests of every task. Adds rates in answers per second to `rates`."""
    rng = HeldOut("evaluate/speaker")
    found: Outcomes = {}
    for task, make in MAKERS.items():
        cases = [make(rng) for _ in range(n)]
        start = time.time()
        answers = ask(speaker, cases)
        rates[f"{task} answers a second"] = round(n / (time.time() - start), 2)
        found |= grade(cases, answers)
    return found


def rollouts(speaker: TransformersSpeaker, n: int, temperature: float) -> Outcomes:
    """Let the writer go from `n` prompts to "done" on its own, reading its own descriptions, in at most five steps."""
    rng = HeldOut("evaluate/rollout")
    prompts = [random_step(rng).prompt.without(PLACE) for _ in range(n)]
    so_far, finished = [BLANK] * n, [False] * n
    (template,) = templates()["write"]
    for step in range(6):
        going = [i for i in range(n) if not finished[i]]
        requests = [
            AskRequest(
                "write", template.render(prompt=describe(prompts[i], vocabulary()), so_far=so_far[i]),
                seed=1000 * i + step, temperature=temperature,
            )
            for i in going
        ]  # fmt: skip
        for i, answer in zip(going, texts(speaker, requests), strict=True):
            finished[i] = answer == DONE
            if not finished[i]:
                so_far[i] = answer.partition("<des>")[2].partition("</des>")[0]
    found: Outcomes = {"rollout/says done": [], "rollout/ends in the prompt's scene": []}
    for prompt, text, done in zip(prompts, so_far, finished, strict=True):
        last = described(f"<des>{text}</des>")
        good = last is not None and compare(last, prompt).fit is SceneFit.SATISFIES
        found["rollout/says done"].append(float(done))
        found["rollout/ends in the prompt's scene"].append(float(done and good))
    return {f"{k}, temperature {temperature}": v for k, v in found.items()}


def painted(painter: DiffusersPainter, speaker: TransformersSpeaker, eye: Any, n: int) -> Outcomes:
    """Grade the judge on `n` painted pictures; what the independent reader reads counts as the truth."""
    rng = HeldOut("evaluate/painted")
    cases = [(random_edit(rng, rng.choice(("first", "add", "add"))), rng.randrange(1 << 30)) for _ in range(n)]
    pictures = paint_cases(painter, cases)
    (template,) = templates()["critique_picture"]
    requests = []
    for (c, _), p in zip(cases, pictures, strict=True):
        text = template.render(instruction=c.instruction, description=describe(c.after, vocabulary()))
        requests.append(AskRequest("critique_picture", text, 0, (p,)))
    found: Outcomes = {}
    answers = texts(speaker, requests)
    for (case, _), (cells, back), answer in zip(cases, read_looks(eye, pictures), answers, strict=True):
        shown = one_by_one(cells, "").objects
        truth = inspect_picture(list(shown), back.replace("blank", ""), case.after, vocabulary())
        try:
            verdict = parse_critique(answer).verdict
        except CritiqueError:
            verdict = Verdict.INCOMPLETE  # counts as wrong, since it is never right on this side
        for name in ("painted/verdict as the reader's", f"painted/… where it is {truth.verdict.value}"):
            found.setdefault(name, []).append(float(verdict is truth.verdict))
    return found
