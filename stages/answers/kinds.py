"""Which kind of fault a judge's words name: a kind written in another way, or a finding that is a sentence.

Only what the words say is read. "Not there" and "wrongly there" part the kinds that decide whether a critique counts,
so a sentence that fits two kinds fits none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.grammar import NUMBERS
from underpaint.schemas.scenes.scene import PLACES
from underpaint.stages.answers.reading import CritiqueError, quote

_ABSENT = {"missing", "absent", "omitted", "omission", "lacking"}
_EXTRA = {"unwanted", "extra", "additional", "unexpected", "unrequested", "superfluous", "hallucinated", "added"}
_WRONG = {"wrong", "incorrect", "mismatch", "mismatched", "inaccurate", "different", "error", "inconsistent", "bad"}
_THING = {"object", "objects", "element", "elements", "item", "items", "subject", "entity", "thing", "in", "of", "the"}
_TOPICS = {
    FaultKind.WRONG_ATTRIBUTE: {
        "attribute", "attributes", "color", "colour", "colors", "colours", "size", "material", "texture", "shape",
        "pattern", "style",
    },
    FaultKind.WRONG_RELATION: {
        "relation", "relations", "relationship", "spatial", "position", "location", "placement", "layout",
    },
    FaultKind.WRONG_COUNT: {"count", "number", "quantity", "counting", "numeracy", "amount"},
    FaultKind.WRONG_BACKGROUND: {"background", "backdrop"},
    FaultKind.MISSING_DETAIL: {"detail", "details"},
}  # fmt: skip
_TOPIC_OF = {word: kind for kind, words in _TOPICS.items() for word in words}
_LOOKS = {word for words in (
    "red orange yellow green blue purple violet pink brown black white grey gray beige gold golden silver turquoise",
    "cyan magenta teal navy maroon big large small little tiny huge tall short long round square triangular oval flat",
    "rectangular metal metallic wooden plastic glass stone leather rubber fabric ceramic paper striped spotted dotted",
    "plain checkered furry fluffy shiny matte rough smooth dark light bright transparent",
) for word in words.split()}  # fmt: skip
_COUNTS = {*NUMBERS, *map(str, range(100)), "eleven", "twelve"}
_PLACE = re.compile(rf"(?:{'|'.join(PLACES)}|in the (?:middle|center))\b")
_RELATION = re.compile(
    r"(?:to the (?:left|right) of|(?:on )?top of|above|below|under(?:neath)?|over|behind|in front of|beside|next to"
    r"|near|inside|between|left of|right of|beneath|on the (?:left|right) of)\b"
)
_NO_FAULT = re.compile(  # "nothing is missing", "as asked"
    r"\b(?:no|without|nothing|none|not any|isn't|aren't|not|never)\b[\w\s']{0,30}?\b(?:missing|absent|lacking|faults?"
    r"|issues?|problems?|errors?|wrong|unwanted|extra|mismatch\w*|discrepanc\w+|contradict\w+|conflicts?|deviat\w+)\b"
    r"|\bas (?:asked|requested|described|wanted)\b"
)
_NOT_THERE = re.compile(
    r"\b(?:missing|absent|lacks|lacking|omitted)\b|\bnot (?:there|present|visible|shown|depicted|painted|drawn)\b"
    r"|\b(?:isn't|aren't) (?:there|present|visible|shown)\b|\bthere (?:is|are) no\b|\bnowhere\b"
    r"|\b(?:does not|doesn't|do not|don't) (?:show|contain|include|depict|have)\b"
)
_WRONGLY_THERE = re.compile(
    r"\b(?:unwanted|unexpected|extra|additional|superfluous|unrequested)\b"
    r"|\bnot (?:asked for|requested|wanted|called for|mentioned|in the (?:prompt|description|step))\b"
    r"|\b(?:should not|shouldn't) be (?:there|here|present|in the (?:picture|image|scene))\b"
)
_CONTRAST = re.compile(
    r"(?:\bnot|\binstead of|\brather than|\bshould (?:have been|be)|\b(?:isn't|aren't))\s+(?:the\s+)?"
)
_TOO = re.compile(r"\btoo (?:many|few)\b")
_NAMED = re.compile(r"\W*([\w /-]{3,40}?)[*_`\"' ]*[:–—-]\s+(?=\S)")


def read_kind(said: str, kinds: Sequence[str]) -> tuple[str, str]:
    """(the kind that a word or two name, the bend of reading it or ""). `kinds` are those beyond `FaultKind`.

    Raises CritiqueError where they name none.
    """
    known = [*FaultKind, *kinds]
    if said in known:
        return said, ""
    tokens = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", said).lower())
    for kind in known:
        if sorted(kind.split("_")) == sorted(tokens):
            return str(kind), "spelling of a kind"
    if kind := _synonym(set(tokens)):
        return kind, "synonym of a kind"
    raise unknown_kind(said, kinds)


def read_sentence(said: str, kinds: Sequence[str]) -> tuple[str, str]:
    """(kind, detail) of a finding that is a sentence. Raises CritiqueError where its words do not say one kind."""
    if named := _NAMED.match(said):
        try:
            return read_kind(named[1], kinds)[0], said[named.end() :].strip()
        except CritiqueError:
            pass  # what stands before the colon or dash is a part of the sentence
    if len(found := set(_said_kinds(said.lower().replace("’", "'")))) != 1:
        raise unknown_kind(said, kinds)
    return found.pop(), said


def unknown_kind(said: object, kinds: Sequence[str]) -> CritiqueError:
    """The error that names the kinds there are."""
    known = ", ".join([*FaultKind, *kinds])
    return CritiqueError(f"findings: unknown kind {quote(str(said))}; there are {known}", "unknown kind")


def _synonym(tokens: set[str]) -> str:
    """The kind that is named by words alone of which each is known: "wrong color", "object missing", "count"."""
    topics = {_TOPIC_OF[t] for t in tokens if t in _TOPIC_OF}
    rest = tokens - set(_TOPIC_OF) - _THING
    if not tokens or len(topics) > 1 or (rest - _ABSENT - _EXTRA - _WRONG):
        return ""
    absent, extra, wrong = rest & _ABSENT, rest & _EXTRA, rest & _WRONG
    if sum(map(bool, (absent, extra, wrong))) > 1:
        return ""
    if absent:
        if not topics:
            return FaultKind.MISSING_OBJECT
        return FaultKind.MISSING_DETAIL if topics <= {FaultKind.WRONG_ATTRIBUTE, FaultKind.MISSING_DETAIL} else ""
    if extra:
        return "" if topics else FaultKind.UNWANTED_OBJECT
    return "".join(topics - {FaultKind.MISSING_DETAIL})


def _said_kinds(text: str) -> Iterator[str]:
    if _NO_FAULT.search(text):
        return
    if _NOT_THERE.search(text):
        detail = re.search(r"\b(?:details?|attribute|colou?r|background|backdrop)\b", text)
        yield FaultKind.MISSING_DETAIL if detail and "background" not in detail[0] else FaultKind.MISSING_OBJECT
    if _WRONGLY_THERE.search(text):
        yield FaultKind.UNWANTED_OBJECT
    if _TOO.search(text):
        yield FaultKind.WRONG_COUNT
    for wrong, topic in re.findall(r"\b(\w+) (\w+)\b", text):
        if wrong in _WRONG and topic in _TOPIC_OF:
            yield _TOPIC_OF[topic]
    for contrast in _CONTRAST.finditer(text):
        yield from _contrasted(text[: contrast.start()], text[contrast.end() :], "should" in contrast[0])


def _contrasted(left: str, right: str, demanded: bool) -> Iterator[str]:
    """The kind of "… blue, not red": what stands right of "not" is of that kind and, if anything, what stands left."""
    if re.match(r"\W*(?:the |its )?(?:background|backdrop)\b", left):
        yield FaultKind.WRONG_BACKGROUND
    elif _PLACE.match(right):
        yield FaultKind.WRONG_ATTRIBUTE
    elif _RELATION.match(right):
        yield FaultKind.WRONG_RELATION
    elif first := re.match(r"\w+", right):
        before = re.findall(r"\w+", left)
        if first[0] in _COUNTS and (demanded or _COUNTS & set(before)):
            yield FaultKind.WRONG_COUNT
        elif first[0] in _LOOKS and (demanded or _LOOKS & set(before[-3:])):
            yield FaultKind.WRONG_ATTRIBUTE
