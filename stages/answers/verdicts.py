"""What a judge's word for its verdict means. Hedged words are none; yes and no need a question that is known.

A word of one side is never read as the other: what could be either is refused.
"""

from __future__ import annotations

import re

from underpaint.schemas.scenes.critique import Verdict
from underpaint.stages.answers.reading import CritiqueError, quote

_SYNONYMS = {
    Verdict.CONSISTENT: "match, matches, matching, matched, pass, passes, passed, correct, ok, okay, accept, accepted,"
    " agree, agrees, aligned, faithful, valid, accurate, satisfied, success, successful, complete, fully consistent,"
    " is consistent, no conflict, no conflicts, no contradiction, no contradictions, no mismatch, not a conflict,"
    " not inconsistent, no fault, no faults, no issue, no issues",
    Verdict.INCOMPLETE: "unfinished, in progress, partially complete, not complete, not finished, not yet complete,"
    " not yet finished, is incomplete, consistent but incomplete, incomplete but consistent, consistent so far",
    Verdict.CONFLICT: "conflicts, conflicting, in conflict, contradiction, contradicts, contradictory, mismatch,"
    " mismatched, mismatches, no match, not a match, not matching, does not match, doesn't match, fail, fails, failed,"
    " failure, incorrect, not correct, wrong, reject, rejected, inconsistent, not consistent, isn't consistent,"
    " is inconsistent, disagree, disagrees, invalid, inaccurate, unfaithful, not faithful, not aligned, misaligned",
}
_MEANS = {w.strip(): verdict for verdict, words in _SYNONYMS.items() for w in words.split(",")}
_YES, _NO = {"yes", "y", "true"}, {"no", "n", "false"}
_HEDGE = re.compile(
    r"\b(?:part(?:ly|ial|ially)|most(?:ly)?|mainly|somewhat|almost|nearly|largely|probably|possibly|likely|perhaps|maybe"
    r"|unsure|uncertain|unclear|unknown|undetermined|ambiguous|borderline|mixed|depends|minor|but|except|however"
    r"|although|though|both|either|cannot|can't)\b"
)
_STATED = re.compile(
    r"\b(?:verdict|final answer|conclusion|judge?ment)\W{0,4}(?:(?:is|would be|should be)\W{1,4})?((?:[\w']+ ?){1,3})"
)
_AGAIN = re.compile(
    r"\b(?:wait|on second thought|i made a mistake|let me correct|scratch that|actually,)", re.IGNORECASE
)
_DENIES = re.compile(
    r"\b(?:contradicts|conflicts with|(?:does not|doesn't) match|(?:is|are) (?:not consistent|inconsistent))\b"
)
_OPEN = re.compile(
    r"\b(?:whether|if|nothing|none|no|neither|nor|would|unless|where|when|ask\w*|questions?|check\w*)\b|\?"
)


def read_verdict(said: object, yes: Verdict | None = None) -> tuple[Verdict, str]:
    """(the verdict that a value means, the bend of reading it or "").

    `yes` is the verdict that a yes to the template's question means, CONSISTENT or CONFLICT; None where it asks no
    such question, and a yes or no is refused. Raises CritiqueError on a word that is hedged or unknown.
    """
    if isinstance(said, str) and said in list(Verdict):
        return Verdict(said), ""
    if isinstance(said, list) and len(said) == 1:
        return read_verdict(said[0], yes)[0], "verdict in a list"
    if not isinstance(said, str | bool):
        raise _unknown(said)
    words = _plain(str(said))
    if words in list(Verdict):
        return Verdict(words), "case of the verdict"
    if words in _YES | _NO:
        return _answered(words in _YES, said, yes), "yes or no as verdict"
    if words in _MEANS:
        return _MEANS[words], "synonym of a verdict"
    head, _, reason, *_ = map(_plain, [*re.split(r"([:;.,(\n]| [-–—]+ )", words, maxsplit=1), "", ""])
    means = _meaning(head)
    if means and not _HEDGE.search(words) and not _other_side(reason, means):
        return means, "verdict with its reason"
    if _HEDGE.search(words):
        raise CritiqueError(
            f"verdict: {quote(str(said))} is hedged; decide for one of {', '.join(Verdict)}", "hedged verdict"
        )
    raise _unknown(said)


def gainsaid(words: str, verdict: Verdict) -> bool:
    """Whether words around an object take its verdict back: they state another, deny it, or think again."""
    said = words.lower().replace("’", "'")
    stated = (_longest(found.split()) for found in _STATED.findall(said))
    if _AGAIN.search(said) or any(s and _against(s) != _against(verdict) for s in stated):
        return True
    denies = any(_DENIES.search(s) and not _OPEN.search(s) for s in re.split(r"(?<=[.!?\n])", said))
    return denies and not _against(verdict)


def gainsaid_by_field(name: str, value: object, verdict: Verdict) -> bool:
    """Whether an extra field such as `is_consistent: false` says the opposite of the verdict."""
    means = _meaning(re.sub(r"^(?:is|has|in)_", "", name.lower()).replace("_", " "))
    return isinstance(value, bool) and means is not None and (_against(means) == value) != _against(verdict)


def _longest(words: list[str]) -> Verdict | None:
    """What as many of the first words as mean a verdict mean together."""
    return next((m for n in range(len(words), 0, -1) if (m := _meaning(" ".join(words[:n])))), None)


def _plain(words: str) -> str:
    return " ".join(re.sub(r"[*_`\"“”#✅❌✔✗]+", " ", words).lower().replace("’", "'").split()).strip(" .!,;:()-–—")


def _meaning(words: str) -> Verdict | None:
    return Verdict(words) if words in list(Verdict) else _MEANS.get(words)


def _against(verdict: Verdict) -> bool:
    return verdict is Verdict.CONFLICT


def _other_side(reason: str, verdict: Verdict) -> bool:
    """Whether a reason has a word of the other side, whatever stands before it."""
    tokens = re.findall(r"[\w']+", reason)
    spans = (" ".join(tokens[i : i + n]) for n in (1, 2, 3) for i in range(len(tokens)))
    return any(m is not None and _against(m) != _against(verdict) for m in map(_meaning, spans))


def _answered(agrees: bool, said: object, yes: Verdict | None) -> Verdict:
    if yes is None:
        raise CritiqueError(
            f"verdict: {quote(str(said))} is not clear, since no question is asked that yes or no would answer; write"
            f" one of {', '.join(Verdict)}", "ambiguous verdict",
        )  # fmt: skip
    return yes if agrees else Verdict.CONSISTENT if yes is Verdict.CONFLICT else Verdict.CONFLICT


def _unknown(said: object) -> CritiqueError:
    return CritiqueError(f"verdict: {quote(str(said))} is none; there are {', '.join(Verdict)}", "unknown verdict")
