"""The usual forms in which models that were taught no form give a right critique, and two in which they give none.

Each form makes an answer of any critique, so that a server can answer in all of them by turns. A form is `readable`
where a reader must give back the critique's verdict, finding kinds and correction; else `reason` says why it must not.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Critique = dict[str, Any]


@dataclass(frozen=True)
class Form:
    """`make` turns a critique (its JSON object) into the answer's text; `finish_reason` is what a server says of it."""

    name: str
    make: Callable[[Critique], str]
    readable: bool = True
    reason: str = ""
    finish_reason: str = "stop"


def _json(critique: Critique) -> str:
    return json.dumps(critique, ensure_ascii=False)


def _with(**changed: Callable[[Critique], Any]) -> Callable[[Critique], str]:
    """The critique with these fields made anew."""
    return lambda c: _json({**copy.deepcopy(c), **{name: make(c) for name, make in changed.items()}})


def _nothing_as(words: str | None) -> Callable[[Critique], str]:
    return _with(correction=lambda c: c["correction"] or words)


def _verdict_as(consistent: Any, conflict: Any) -> Callable[[Critique], str]:
    """The verdict in other words; incomplete has none and stays."""
    said = {"consistent": consistent, "conflict": conflict}
    return _with(verdict=lambda c: said.get(c["verdict"], c["verdict"]))


def _kinds_as(spell: Callable[[str], str]) -> Callable[[Critique], str]:
    return _with(findings=lambda c: [{**f, "kind": spell(f["kind"])} for f in c["findings"]])


def _turned(kind: str) -> str:
    first, _, last = kind.partition("_")
    return f"{last}_{first}"


def _severe(finding: dict[str, str]) -> dict[str, str]:
    return {"type": finding["kind"], "description": finding["detail"], "severity": "high"}


FORMS = [
    Form("plain", _json),
    Form("indented", lambda c: json.dumps(c, ensure_ascii=False, indent=2)),
    Form("fence", lambda c: f"```json\n{_json(c)}\n```"),
    Form("fence without a language", lambda c: f"```\n{_json(c)}\n```"),
    Form("fence in capitals", lambda c: f"```JSON\n{_json(c)}\n```"),
    Form("prose before a fence", lambda c: f"Here is my critique:\n\n```json\n{_json(c)}\n```"),
    Form("prose after a fence", lambda c: f"```json\n{_json(c)}\n```\nLet me know if I can help with another step!"),
    Form("thinking", lambda c: f"<think>Is the verdict conflict or consistent? {{Let me}} look.</think>\n{_json(c)}"),
    Form("trailing comma", lambda c: _json(c)[:-1] + ",}"),
    Form("single quotes", lambda c: repr(c)),
    Form("raw newline", lambda c: _json({**c, "analysis": "Well. " + c["analysis"]}).replace("Well. ", "Well.\n")),
    Form("correction null", _nothing_as(None)),
    Form("correction None", _nothing_as("None")),
    Form("correction in words", _nothing_as("No correction needed.")),
    Form("observed as a sentence", _with(observed=lambda c: "I see " + "; ".join(c["observed"]) + ".")),
    Form("findings as strings", _with(findings=lambda c: [f["detail"] for f in c["findings"]])),
    Form("findings as one sentence", _with(findings=lambda c: "; ".join(f["detail"] for f in c["findings"]))),
    Form("verdict yes", _verdict_as("yes", "no")),
    Form("verdict true", _verdict_as(True, False)),
    Form("verdict in capitals", _with(verdict=lambda c: c["verdict"].capitalize())),
    Form("verdict match", _verdict_as("match", "mismatch")),
    Form("verdict pass", _verdict_as("pass", "fail")),
    Form("verdict correct", _verdict_as("Correct.", "Incorrect.")),
    Form("kinds with a blank", _kinds_as(lambda k: k.replace("_", " "))),
    Form("kinds turned round", _kinds_as(_turned)),
    Form("other names in a finding", _with(findings=lambda c: [_severe(f) for f in c["findings"]])),
    Form("extra field", lambda c: _json({**c, "confidence": 0.9})),
    Form("wrapped", lambda c: _json({"critique": c})),
    Form("list of one", lambda c: _json([c])),  # type: ignore[arg-type]
    Form(
        "kind that nobody knows", lambda c: _json({
            **c, "findings": [{"kind": "distorted", "detail": "the car looks odd"}], "verdict": "conflict",
            "correction": c["correction"] or "Paint it anew.",
        }), readable=False, reason="unknown kind",
    ),
    Form("refusal", lambda c: "I'm sorry, but I can't help with that.", readable=False, reason="refusal"),
    Form(
        "cut", lambda c: _json(c)[: len(_json(c)) * 2 // 3], readable=False, reason="cut at the limit",
        finish_reason="length",
    ),
]  # fmt: skip
