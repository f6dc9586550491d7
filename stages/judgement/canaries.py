"""Watches a judge while it works: a few questions of known truth ("canaries") are asked along with the real ones.

They are made of the lot's own questions, in the same batch, so that they meet what the real ones meet: this painter's
pictures, this server, this hour. What is counted goes into the lot's manifest; `pipeline.selection.judge_watch` stops a
build whose judge fails them. No row of a table says anything of them.

| kind | the question | right is |
| --- | --- | --- |
| plain | a picture of one plain colour, described as that | no conflict |
| as asked | a step whose texts are the prompt itself | no conflict |
| swapped | another sample's picture (or prompt) that shares no object with the description | conflict |
| colour, count, place, noun | one word of the step's texts is changed | conflict |

A changed word counts only where the judge accepted the same step unchanged. So its recall by kind is measured on the
painter's own pictures, and no drawn world is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from PIL import Image
from pydantic import Field

from underpaint.schemas.markup import BLANK
from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.critique import Side, Verdict
from underpaint.schemas.scenes.grammar import NUMBERS
from underpaint.schemas.scenes.mentions import find_mentions
from underpaint.schemas.scenes.scene import PLACE, PLACES
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.common.ledger import Failure, Ledger
from underpaint.stages.common.stage import Context
from underpaint.stages.judgement.panel import Judged, JudgeParams, Question, Votes, judge

PLAIN = {"red": (210, 30, 30), "green": (30, 160, 50), "blue": (30, 60, 210), "yellow": (240, 220, 40)}
RIGHT = 0.5  # share of steps that are right, where the judge can be asked about them: what shows that it sees at all
# Which findings name a changed word rightly.
NAMED_BY = {
    "colour": (FaultKind.WRONG_ATTRIBUTE,),
    "count": (FaultKind.WRONG_COUNT,),
    "place": (FaultKind.WRONG_ATTRIBUTE, FaultKind.WRONG_RELATION),
    "noun": (FaultKind.MISSING_OBJECT, FaultKind.UNWANTED_OBJECT),
}


class WatchedParams(JudgeParams):
    """How a judge is asked that is watched while it works."""

    canaries: float = Field(
        default=0.05, ge=0, le=1,
        description="for this share of the questions one more of known truth is asked, to watch the judge"
        " (docs/judging.md); what is asked of the others stays the same",
    )  # fmt: skip


@dataclass(frozen=True)
class Canary:
    """A question of known truth, made of the question number `origin`."""

    kind: str
    question: Question
    conflict: bool  # what is right
    origin: int

    @property
    def edited(self) -> bool:
        """Whether it is the same step with a word changed, so that it tells something only if that step is right."""
        return self.kind in NAMED_BY


def judge_watched(
    context: Context[Any], questions: Sequence[Question], params: JudgeParams, ledger: Ledger, share: float = 0.0
) -> list[Judged | Failure]:
    """As `panel.judge`, with canaries beside a `share` of the questions; the ledger counts what came of either."""
    canaries = make_canaries(context, questions, share)
    votes, found = judge(context, [*questions, *(c.question for c in canaries)], params, ledger)
    own = found[: len(questions)]
    sampled = params.answers > 1 and params.temperature > 0
    for vote, result in zip(votes, own, strict=False):  # not those of the canaries, which follow
        _count(ledger, vote, result, sampled)
    for canary, result in zip(canaries, found[len(questions) :], strict=True):
        _weigh(ledger, canary, result, own[canary.origin])
    return own


def make_canaries(context: Context[Any], questions: Sequence[Question], share: float) -> list[Canary]:
    """The canaries of a batch. Which question gets one, and of which kind, is drawn by the question's unit alone."""
    found = []
    for origin, question in enumerate(questions):
        rng = context.random_for(str(question.unit), question.side.value, "canary")
        if rng.random() >= share:
            continue
        unit = replace(question.unit, detail=", ".join(filter(None, [question.unit.detail, "canary"])))
        template = context.pick_template(f"critique_{question.side.value}", unit, question.template)
        # A model that was taught one dialect, or reads by a grammar, cannot be asked in other words than its own.
        free = not template.dialect and not getattr(context.speaker(template), "grammar_only", False)
        makers: list[Maker] = [_swapped, _edited]
        rng.shuffle(makers)
        if free and rng.random() < RIGHT:
            makers.insert(0, _as_told)
        for make in makers:
            if made := make(question, questions, rng, context.vocabulary):
                kind, asked = made
                asked = replace(asked, unit=unit, template=template.id)
                found.append(Canary(kind, asked, kind not in ("plain", "as asked"), origin))
                break
    return found


Made = tuple[str, Question]  # with its kind
Maker = Callable[[Question, Sequence[Question], Random, Vocabulary], Made | None]


def _as_told(question: Question, others: Sequence[Question], rng: Random, vocabulary: Vocabulary) -> Made | None:
    """A step that is right by construction."""
    blank = {"so_far": BLANK} if "so_far" in question.variables else {}
    if question.side is Side.TEXT or question.picture is None:
        prompt = question.variables["prompt"]
        words = {"instruction": f"Paint this: {prompt}", "description": prompt}
        return "as asked", replace(question, variables={**question.variables, **blank, **words})
    colour = rng.choice(list(PLAIN))
    words = {
        "prompt": f"a plain {colour} picture",
        "instruction": f"Paint the whole picture plain {colour}.",
        "description": f"A plain {colour} picture with nothing else in it.",
    }
    picture = Image.new("RGB", question.picture.size, PLAIN[colour])
    variables = {**question.variables, **blank, **words}
    return "plain", replace(question, variables=variables, picture=picture, before=None, scene=None)


def _swapped(question: Question, others: Sequence[Question], rng: Random, vocabulary: Vocabulary) -> Made | None:
    """The step's words with the picture, or under the prompt, of another sample that shares no object with them."""
    mine = _things(question.variables["description"], vocabulary)
    about = "description" if question.side is Side.PICTURE else "prompt"
    partners = [
        q
        for q in others
        if q.side is question.side and q.unit.sample != question.unit.sample
        if (theirs := _things(q.variables[about], vocabulary)) and mine and not mine & theirs
    ]
    if not partners:
        return None
    partner = rng.choice(partners)
    if question.side is Side.PICTURE:
        return "swapped", replace(question, picture=partner.picture)
    variables = {**question.variables, "prompt": partner.variables["prompt"]}
    return "swapped", replace(question, variables=variables, scene=partner.scene)


def _things(text: str, vocabulary: Vocabulary) -> set[str]:
    """The nouns of the vocabulary that a text names; of a text without any, all its words of four letters or more."""
    nouns = {m.noun for m in find_mentions(text, vocabulary).objects}
    return nouns or {w.removesuffix("s") for w in re.findall(r"[^\W\d_]{4,}", text.lower())}


def _edited(question: Question, others: Sequence[Question], rng: Random, vocabulary: Vocabulary) -> Made | None:
    """The step with one word of its instruction and description changed, so that picture or prompt contradict it."""
    said, prompt = question.variables, question.variables["prompt"]
    before = said.get("so_far", "")
    texts = (prompt, said["instruction"], said["description"], before)
    used, things = " ".join(texts), set[str]().union(*(_things(text, vocabulary) for text in texts))
    options: dict[str, list[tuple[str, str]]] = {}
    for kind, old, new in _changes(said["description"], vocabulary):
        if question.side is Side.TEXT and (_has(before, old) or not _has(prompt, old)):
            continue  # what is there already is not this step's; what the prompt leaves open contradicts nothing
        if _has(used, new) or new in things:
            continue  # "flower" is no other thing where the prompt asks for two flowers
        if (old[0] in "aeiou") == (new[0] in "aeiou"):  # "a" and "an" stay as they are
            options.setdefault(kind, []).append((old, new))
    if not options:
        return None
    kind = rng.choice(sorted(options))
    old, new = rng.choice(options[kind])
    changed = {name: _replaced(said[name], old, new) for name in ("instruction", "description")}
    return kind, replace(question, variables={**said, **changed})


def _changes(text: str, vocabulary: Vocabulary) -> Iterator[tuple[str, str, str]]:
    """(kind, word of the text, another word) for every word whose change changes what the text says."""
    said = find_mentions(text, vocabulary)
    nouns = [m.noun for m in said.objects]
    for mention in said.objects:
        if nouns.count(mention.noun) > 1:
            continue  # with two cars of other colours, a changed one may be the other
        for kind, value in mention.attributes:
            if kind != PLACE:
                yield from (("colour", value, other) for other in vocabulary.attributes[kind] if other != value)
        if mention.count and 2 <= mention.count < len(NUMBERS) - 1:
            yield "count", NUMBERS[mention.count], NUMBERS[mention.count + 1]
        elif _has(text, mention.noun):
            yield from (("noun", mention.noun, other) for other in vocabulary.nouns if other != mention.noun)
    known = vocabulary.attributes.get(PLACE, ())
    yield from (("place", place, other) for _, place in said.places for other in known if other != place)


def _has(text: str, words: str) -> bool:
    return _replaced(text, words, "") != text


def _replaced(text: str, old: str, new: str) -> str:
    """The text with words replaced, capitals kept; "at the top" is no part of "at the top left"."""
    longer = "|".join(re.escape(p.removeprefix(old)) for p in PLACES if p.startswith(f"{old} "))
    words = re.compile(rf"\b{re.escape(old)}\b" + (rf"(?!{longer})" if longer else ""), re.IGNORECASE)
    return words.sub(lambda m: new.capitalize() if m[0][:1].isupper() else new, text)


def _count(ledger: Ledger, votes: Votes, result: Judged | Failure, sampled: bool) -> None:
    """Count what came of a real question, under its template; `sampled`: several answers at a temperature above 0."""
    heard = ledger.heard[votes.template.id]
    heard.hear(votes.said)
    heard.unsound += sum(s.value is not None for s in votes.said) - len(votes.critiques)
    against = len(votes.on_side(True))
    sides = [against, len(votes.critiques) - against]
    if isinstance(result, Judged):
        heard.decided += 1
        heard.conflicts += result.conflict
        heard.of_decided += len(votes.said)
        heard.agreed += sides[not result.conflict]
        if result.decided_by == "arbiter":
            sides[not result.conflict] += 1
    heard.votes[f"{sides[0]}:{sides[1]}"] += 1
    if sampled:
        heard.repeated += 1
        heard.equal += len(set(votes.texts)) == 1


def _weigh(ledger: Ledger, canary: Canary, result: Judged | Failure, original: Judged | Failure) -> None:
    """Count a canary that was answered; unread answers have their own figure."""
    accepted = isinstance(original, Judged) and original.critique.verdict is not Verdict.CONFLICT
    if isinstance(result, Failure) or (canary.edited and not accepted):
        return
    right = result.conflict == canary.conflict
    kinds = {f.kind for f in result.critique.findings}
    named = right and not kinds.isdisjoint(NAMED_BY.get(canary.kind, ()))
    counts = ledger.canaries[f"{canary.question.side.value}, {canary.kind}"]
    counts.update(asked=1, right=int(right), named=int(named))
