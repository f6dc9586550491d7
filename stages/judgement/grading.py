"""A graded score beside the verdict, where a model gives the probabilities of its tokens, as VQAScore does.

The score is the probability of "no conflict": p of the words that agree, 1 - p of those that say conflict. It is
conditioned on all that the model wrote before these words (arXiv 2404.01291 asks for the one word alone).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from underpaint.schemas.scenes.critique import Critique, Verdict
from underpaint.stages.common.asking import Said

VERDICT = re.compile(r"[\"']verdict[\"']\s*:\s*[\"']?(\w+)", re.IGNORECASE)
ANSWER = re.compile(r"[\"']answer[\"']\s*:\s*[\"']?(yes|no|true|false)\b", re.IGNORECASE)
LAST_WORD = re.compile(r"(\w+)\W*\Z")
AGAINST = ("no", "false")


def grade(said: Sequence[Said[Critique]], output: str) -> float | None:
    """The mean of what the answers that were read gave to "no conflict", in [0, 1]; None where none has probabilities.

    `output` is their form: the verdict is graded of critique/1 and label/1, each question of questions/1.
    """
    found = [g for one in said if one.value is not None and (g := _grade(one, one.value, output)) is not None]
    return sum(found) / len(found) if found else None


def _grade(said: Said[Critique], critique: Critique, output: str) -> float | None:
    tokens = said.answers[-1].logprobs
    text = "".join(token for token, _ in tokens)
    if output == "questions/1":
        agreeing = [_agrees(_probability(tokens, m), m[1].lower() not in AGAINST) for m in ANSWER.finditer(text)]
        return sum(agreeing) / len(agreeing) if agreeing else None
    matches = [*(VERDICT if output == "critique/1" else LAST_WORD).finditer(text)]
    if not matches:
        return None
    return _agrees(_probability(tokens, matches[-1]), critique.verdict is not Verdict.CONFLICT)


def _agrees(p: float, agreeing: bool) -> float:
    return p if agreeing else 1 - p


def _probability(tokens: Sequence[tuple[str, float]], match: re.Match[str]) -> float:
    """The probability of a match's first group: the product over all tokens that hold one of its characters."""
    (start, end), at, total = match.span(1), 0, 0.0
    for token, logprob in tokens:
        if at < end and at + len(token) > start:
            total += logprob
        at += len(token)
    return math.exp(total)
