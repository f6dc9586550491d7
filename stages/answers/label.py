"""Reads free prose that ends with a label as a critique: "… no book is visible.", and below it "Incorrect"."""

from __future__ import annotations

import re
from collections.abc import Mapping

from underpaint.schemas.scenes.critique import Critique, Verdict
from underpaint.stages.answers.answer import AnswerError, CritiqueError, Read, Said, blind, quote, refuses, words_of
from underpaint.stages.answers.critique import new_critique

_SENTENCE = re.compile(r"\n+|(?<=[.!?])[\"'”’)*_]*\s+(?=[\"'“‘(*_]*[A-Z0-9])")
_LEAD = re.compile(
    r"(?:(?:the )?(?:final )?(?:answer|verdict|label|judge?ment|conclusion|result)\s*(?:is|:)\s*:?)\s*", re.I
)
_WRONG = re.compile(
    r"\b(?:not|no|never|none|cannot|missing|lacks?|lacking|absent|instead|rather|wrong|incorrect\w*|without|unlike|fails?"
    r"|differs?|different|contradict\w*|contrary|inconsistent|mismatch\w*)\b|n't\b"
)
_VERDICT_ONLY = re.compile(
    r"(?:not|n't|fails? to) (?:\w+ )?(?:match|represent|reflect|depict|correspond|align|consistent|faithful|accurate)"
    r"\w*[\w\s,]{0,30}\b(?:caption|description|prompt|text|instruction|step)\b"
)


def read_label(answer: str | Said, labels: Mapping[str, Verdict], finding_kind: str) -> Read[Critique]:
    """The critique of an answer whose last sentence is a label: the prose before it is its analysis.

    A conflict has one finding of `finding_kind`: the last sentence that says what is wrong. It has no correction, and
    what was observed is not told apart. Raises CritiqueError where no label stands at the end, where another label
    stands alone elsewhere, or where there is no prose.
    """
    try:
        words, bends = words_of(answer)
    except AnswerError as e:
        raise CritiqueError(str(e), e.reason) from None
    known = {label.casefold(): verdict for label, verdict in labels.items()}
    sentences = [s.strip() for s in _SENTENCE.split(words) if s.strip()]
    verdicts = [known.get(_bare(s)) for s in sentences]
    verdict = verdicts[-1]
    if blind(words) or (verdict is None and refuses(words)):
        raise CritiqueError(f"the answer refuses: {quote(words)}", "refusal")
    if verdict is None:
        raise CritiqueError(f"the answer does not end with {' or '.join(labels)}: …{quote(words[-60:])}", "no label")
    if len({v for v in verdicts if v}) > 1:
        raise CritiqueError(f"the answer gives several of {', '.join(labels)}", "contradicts itself")
    prose = [s for s, v in zip(sentences, verdicts, strict=True) if v is None]
    if not prose:
        raise CritiqueError("the answer is a label without a reason; say first what is seen", "field missing")
    if sentences[-1].strip(" .") not in labels:
        bends.add("spelling of a label")
    conflict = verdict is Verdict.CONFLICT
    findings = [{"kind": finding_kind, "detail": _what_is_wrong(prose)}] if conflict else []
    critique = new_critique(observed=(), findings=findings, verdict=verdict, analysis=" ".join(prose), correction="")
    return Read.of(critique, bends)


def _bare(sentence: str) -> str:
    return _LEAD.sub("", re.sub(r"[*_`\"'“”#\[\]()]", "", sentence).strip(), count=1).strip(" .!:").casefold()


def _what_is_wrong(prose: list[str]) -> str:
    """The last sentence that says what is wrong; one that only says that something is, if there is no other."""
    wrong = [s for s in prose if _WRONG.search(s.lower().replace("’", "'"))] or prose
    telling = [s for s in wrong if not _VERDICT_ONLY.search(s.lower().replace("’", "'"))]
    return (telling or wrong)[-1]
