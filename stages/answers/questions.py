"""Reads a chain of yes/no questions, each answered, as a critique: its findings are the questions answered "no".

It is the way of DSG (arXiv 2310.18235) and TIFA (arXiv 2303.11897), asked of one model in one answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.critique import Critique, Finding, Verdict
from underpaint.stages.answers.answer import AnswerError, CritiqueError, Read, Said, quote, words_of
from underpaint.stages.answers.critique import new_critique
from underpaint.stages.answers.kinds import read_kind
from underpaint.stages.answers.objects import closed_object, find_object, renamed_fields

NAMES = {name: name for name in ("questions", "correction")}
PARTS = {name: name for name in ("question", "kind", "detail", "answer")}
WORDS = {"yes": True, "no": False, "true": True, "false": False}
NOTHING = {"", "none", "n/a", "null"}
MOST_QUESTIONS, LONGEST_TEXT = 24, 400  # room for what a judge asks; without an end a small model lists for ever


def read_questions(answer: str | Said, kinds: Sequence[str] = (), least: int = 1) -> Read[Critique]:
    """The critique that the questions of an answer make; at least `least` must be answered.

    Raises CritiqueError where a question has neither yes nor no for an answer, where some are left out, and where
    there is a correction of nothing, or none for a "no".
    """
    try:
        words, bends = words_of(answer)
        found, _, loose = find_object(words, "questions", NAMES)
    except AnswerError as e:
        raise CritiqueError(str(e), e.reason) from None
    bends |= loose
    asked = found["questions"]
    if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
        raise CritiqueError(f"questions: {quote(str(asked))} is no list of objects", "field of another type")
    if len(asked) < least:
        raise CritiqueError(f"questions: {len(asked)} are answered, {least} were asked", "questions left out")
    seen, findings = [], []
    for i, one in enumerate(asked):
        question, kind, detail, yes = _question(f"questions.{i}", one, kinds, bends)
        if yes:
            seen.append(detail or question)
        else:
            findings.append(Finding(kind=kind, detail=detail or f"not so: {question}"))
    correction = found.get("correction")
    if correction is None or str(correction).strip(" .").lower() in NOTHING:
        bends.add("" if correction == "" else "null correction")
        correction = ""
    if not isinstance(correction, str):
        raise CritiqueError(f"correction: {quote(str(correction))} is no text", "field of another type")
    if bool(findings) != bool(correction):
        why = "no correction, though a question is answered no" if findings else "a correction, though all are yes"
        raise CritiqueError(f"correction: there is {why}", "no correction" if findings else "contradicts itself")
    verdict = Verdict.CONFLICT if findings else Verdict.CONSISTENT
    analysis = _analysis([f.detail for f in findings] or seen, bool(findings))
    critique = new_critique(observed=seen, findings=findings, verdict=verdict, analysis=analysis, correction=correction)
    return Read.of(critique, bends)


def questions_schema(kinds: Sequence[str] = (), least: int = 1) -> dict[str, Any]:
    """JSON Schema of such an answer. What is seen comes before yes or no, so that the model looks before it decides."""
    text = {"type": "string", "maxLength": LONGEST_TEXT}
    parts = {
        "question": text,
        "kind": {"type": "string", "enum": [*map(str, FaultKind), *kinds]},
        "detail": text,
        "answer": {"type": "string", "enum": ["yes", "no"]},
    }
    many = {"type": "array", "items": closed_object(parts), "minItems": least, "maxItems": max(least, MOST_QUESTIONS)}
    return closed_object({"questions": many, "correction": text})


def _question(where: str, one: dict[str, Any], kinds: Sequence[str], bends: set[str]) -> tuple[str, str, str, bool]:
    """(question, kind, detail, whether the answer is yes)."""
    parts = renamed_fields(one, PARTS)
    for name in ("question", "answer", "kind"):
        if not isinstance(parts.get(name), str | bool) or not str(parts[name]).strip():
            raise CritiqueError(f"{where}.{name}: this field is missing", "field missing")
    said = str(parts["answer"]).strip(" .!").lower()
    if said not in WORDS:
        raise CritiqueError(f"{where}.answer: {quote(said)} is neither yes nor no", "neither yes nor no")
    bends.add("" if parts["answer"] in ("yes", "no") else "spelling of yes or no")
    kind, bend = read_kind(str(parts["kind"]), kinds)
    bends.add(bend)
    detail = parts.get("detail") or ""
    if not isinstance(detail, str):
        raise CritiqueError(f"{where}.detail: {quote(str(detail))} is no text", "field of another type")
    return str(parts["question"]).strip(), kind, detail.strip(" ."), WORDS[said]


def _analysis(details: Sequence[str], wrong: bool) -> str:
    """One or two sentences in place of those that the model was not asked for."""
    told = "; ".join(details)
    end = "" if told[-1] in ".!?" else "."
    return f"{told[0].upper()}{told[1:]}{end}" if wrong else f"All is as it should be: {told}{end}"
