"""Finds things in a text that are foreign to its scene, without a vocabulary: "a lighthouse" beside the red car.

A tagger (TextBlob's, whose lexicon comes with it) finds the noun phrases; things.txt (made from WordNet) tells things
that one can point at from light, mood and texture. English only. It is a filter, not a reader: docs/prompts.md says how
often it is wrong either way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from underpaint.schemas.scenes.plurals import singular_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


THINGS = Path(__file__).with_name("things.txt")
# What texts say of any picture: its makers and means, its light, its surfaces and materials, and words for "it".
OF_ANY_PICTURE = _words("""
    art artist artwork canvas drawing film frame illustration illustrator image master paint painter painting palette
    photo photograph photographer picture portrait poster print sketch still tapestry medium pigment brush pen pencil
    ink paper page sheet camera lens aperture viewer observer onlooker eye hand spectator
    foreground background backdrop scene space room air sky horizon ground floor earth surface layer stage
    light lamp lamplight sunlight moonlight spotlight candlelight sun moon shadow halo beam ray glow highlight
    color colour tone hue line edge contour texture pattern grain mark stroke wash ridge crack chip knot scratch speck
    freckle ribbon veil touch wisp bead drop blanket sheen patch band
    cloud steam mist dust smoke haze fog drizzle rain dew nobody anybody somebody
    object subject form thing shape piece detail element item work fragment body creature pair group row
    cluster fabric cloth material wood glass stone metal leather velvet silk cotton
    wool plastic marble bronze steel iron gold silver porcelain ceramic clay coat fur hair hide skin fiber
    """)
DENIALS = _words("no without nor neither never not free devoid absent")
LIKENESSES = _words(
    "like as resembling reminiscent recalling recalls recall evoking evokes evoke suggests suggesting suggest"
)
PLACED = _words(
    "beside near behind under beneath above below over through by at on onto atop in into inside along across around "
    "among between against past toward towards outside next to from"
)
NEW = _words("a an another one two three four five six several some many few")
OPENING = _words(", and while")  # before a thing that is brought in by itself
POINTING = _words("each every both either this that these those")  # at something that was named before
OWNED = _words("its their his her whose 's ’s")
# Beginnings of the tags of words that may stand before a noun in its phrase; MAKING of those that say "a thing".
FRONT = ("JJ", "CD", "DT", "VBG", "VBN", "RB", "PDT", "PRP$")
MAKING = ("JJ", "CD", "DT", "PRP$")
REACH = 7  # words before a noun that may belong to its phrase


@dataclass(frozen=True)
class Phrase:
    """A noun phrase: the words before its nouns, its nouns (the last one is its head), what stands around it."""

    front: tuple[str, ...]
    nouns: tuple[str, ...]
    bare: bool  # a singular without article, number, adjective or owner
    before: tuple[str, ...]  # the three words before it
    after: tuple[str, ...]  # the six words after it

    def __str__(self) -> str:
        return " ".join([*self.front, *self.nouns])


def foreign_objects(text: str, own: str) -> list[str]:
    """The noun phrases of things that `text` brings in and `own` (all that it may name, in words) does not have.

    Parts of the scene's own things ("its hood", "the petals"), likenesses ("like a jewel") and denials ("without
    people") are not foreign.
    """
    mine = _forms(re.findall(r"[a-z']+", own.lower()))
    return [str(phrase) for phrase in phrases(text) if _is_foreign(phrase, mine)]


def phrases(text: str) -> Iterator[Phrase]:
    """The noun phrases of a text, in order."""
    for sentence in re.split(r"(?<=[.!?;:])\s+|--|[—–()]", text):
        tagged = _tagger().tag(sentence) if sentence.strip() else []
        words, tags = tuple(w.lower() for w, _ in tagged), [tag for _, tag in tagged]
        end = 0
        for start in range(len(words)):
            if start < end or not tags[start].startswith("NN"):
                continue
            end = next((i for i in range(start, len(tags)) if not tags[i].startswith("NN")), len(tags))
            first = start
            while first > max(0, start - REACH) and (tags[first - 1].startswith(FRONT) or words[first - 1] in OWNED):
                first -= 1
            bare = tags[end - 1] == "NN" and not any(tag.startswith(MAKING) for tag in tags[first:start])
            before, after = words[max(0, first - 3) : first], words[end : end + 6]
            yield Phrase(words[first:start], words[start:end], bare, before, after)


def _is_foreign(phrase: Phrase, own: set[str]) -> bool:
    """Whether its head names a thing, and none of the reasons holds for which it may be named all the same."""
    marks = _marks(phrase.nouns[-1])
    if marks is None or _forms(phrase.nouns[-1:]) & (own | OF_ANY_PICTURE):
        return False
    return not any(reason(phrase, marks, own) for reason in (_no_noun, _not_there, _known, _part))


def _no_noun(phrase: Phrase, marks: frozenset[str], own: set[str]) -> bool:
    """A verb or adjective after all: "the light washes over it", "the shadows stretch", "engine idling"."""
    verb = ("act" in marks and not phrase.front) or (marks & {"act", "verb"} and phrase.nouns[1:])
    return bool(verb) or phrase.bare


def _not_there(phrase: Phrase, marks: frozenset[str], own: set[str]) -> bool:
    """Denied, likened, or of air: "without people", "like a jewel", "for children", "a ribbon of steam"."""
    around, last = {*phrase.before, *phrase.front}, phrase.before[-1:]
    of_air = phrase.after[:1] == ("of",) and _forms(phrase.after[1:3]) & OF_ANY_PICTURE
    return bool(around & (DENIALS | LIKENESSES) or of_air or last == ("for",) or phrase.after[:1] in (("'s",), ("'",)))


def _known(phrase: Phrase, marks: frozenset[str], own: set[str]) -> bool:
    """Spoken of as known: "each fruit", "the rider" of a person, "the glaze is thick" (but not "on the table").

    A lifeless thing is brought in where it is given a place, or where a clause begins with it; elsewhere it is rather a
    part of what there is, or a figure of speech.
    """
    if set(phrase.front) & POINTING:
        return True
    if "living" in marks:
        return "the" in phrase.front and any("living" in (_marks(word) or ()) for word in own)
    opens = "the" not in phrase.front and (not phrase.before or phrase.before[-1] in OPENING)
    return not (opens or PLACED & set(phrase.before[-2:]))


def _part(phrase: Phrase, marks: frozenset[str], own: set[str]) -> bool:
    """A part of the scene's things: "its hood", "the back of the chair", "petals" (but not "near a window")."""
    if "part" in marks and not (NEW & set(phrase.front) and PLACED & set(phrase.before[-2:])):
        return True
    of_own = phrase.after[:1] == ("of",) and _forms(phrase.after) & {*own, "it", "them"}
    return bool(OWNED & set(phrase.front) or of_own or _forms(phrase.nouns[:-1]) & own) and "living" not in marks


def _forms(words: Iterable[str]) -> set[str]:
    return {form for word in words for form in (word, singular_of(word))}


def _marks(word: str) -> frozenset[str] | None:
    """What things.txt says of a noun; None where it names no thing."""
    return _things().get(singular_of(word), _things().get(word))


@lru_cache(maxsize=1)
def _tagger() -> Any:
    from textblob.en.taggers import PatternTagger  # slow to import, and most stages tag no word

    return PatternTagger()


@lru_cache(maxsize=1)
def _things() -> dict[str, frozenset[str]]:
    """By noun, its marks in things.txt."""
    lines = (line.split() for line in THINGS.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {word: frozenset(marks) for word, *marks in lines}
