"""The words of the symbolic judge's findings and critiques."""

from __future__ import annotations

from underpaint.schemas.scenes.compare import STYLE, Difference, FaultKind
from underpaint.schemas.scenes.critique import Critique, Finding, Verdict
from underpaint.schemas.scenes.grammar import (
    NUMBERS,
    capital,
    definite,
    enumerate_words,
    indefinite,
    is_verb,
    name,
    number,
    related,
)
from underpaint.schemas.scenes.scene import PLACE, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary


def finding(d: Difference, vocabulary: Vocabulary) -> Finding:
    """A difference worded as a finding, in one clause."""
    be = "is" if d.subject is None or d.subject.count == 1 else "are"
    noun = "" if d.subject is None else definite(d.subject.model_copy(update={"attributes": {}}), vocabulary)
    if d.attribute == STYLE:
        detail = f"the style is {d.stated}, not {d.expected}"
    elif d.kind is FaultKind.WRONG_BACKGROUND:
        detail = f"the background is {d.stated}, not {d.expected}"
    elif d.kind is FaultKind.WRONG_ATTRIBUTE:
        who = definite(d.subject, vocabulary) if d.attribute == PLACE and d.subject else noun
        detail = f"{who} {be} {d.stated}, not {d.expected}"
    elif d.kind is FaultKind.WRONG_COUNT:
        assert d.wanted
        said, should = NUMBERS[int(d.stated)], number(d.wanted)
        detail = f"there {'is' if d.stated == '1' else 'are'} {said}, not {should} {name(d.wanted, vocabulary)}"
    elif d.kind is FaultKind.UNWANTED_OBJECT:
        assert d.subject
        words = another(d.subject, vocabulary) if d.stated else indefinite(d.subject, vocabulary, place=False)
        detail = f"{words} {be} not asked for"
    elif d.kind is FaultKind.WRONG_RELATION:
        assert d.wanted and d.other
        if is_verb(d.expected):
            detail = f"it is not so that {related(d.wanted, d.expected, d.other, vocabulary)}"
        else:
            detail = f"{definite(d.wanted, vocabulary)} is not {d.expected} {definite(d.other, vocabulary)}"
    else:
        assert d.subject
        detail = f"{indefinite(d.subject, vocabulary, place=False)} {be} missing"
    return Finding(kind=d.kind, detail=detail)


def another(node: SceneObject, vocabulary: Vocabulary, place: bool = False) -> str:
    """ "another red car", "two more red cars"."""
    more = "another" if node.count == 1 else f"{number(node)} more"
    where = f" {node.attributes[PLACE]}" if place and PLACE in node.attributes else ""
    return f"{more} {name(node, vocabulary)}{where}"


def agreement(seen: list[str], names: list[str], what: str, verdict: Verdict) -> Critique:
    """A critique without findings: `what`, followed by the names of what was seen."""
    analysis = f"{what}: {enumerate_words(names)}." if names else f"{what}."
    return Critique(observed=tuple(seen), findings=(), verdict=verdict, analysis=analysis, correction="")


def conflict(seen: list[str], faults: list[Difference], what: str, correction: str, vocabulary: Vocabulary) -> Critique:
    """A critique whose verdict is conflict: `what`, followed by one clause per fault, and the correction."""
    found = tuple(finding(d, vocabulary) for d in faults)
    analysis = capital(f"{what}: {enumerate_words([f.detail for f in found])}.")
    verdict = Verdict.CONFLICT
    return Critique(observed=tuple(seen), findings=found, verdict=verdict, analysis=analysis, correction=correction)
