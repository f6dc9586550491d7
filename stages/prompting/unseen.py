"""Finds in a text what no picture can show: "a testament to beauty", "the dogs are a family with a simple life".

Small writers drift from what is seen to what it stands for; the things that they name are the scene's own, so nothing
else notices. English only, as the check of foreign things is, whose noun phrases it looks at.
"""

from __future__ import annotations

import re

from underpaint.schemas.scenes.plurals import singular_of
from underpaint.stages.prompting.foreign_objects import LIKENESSES, OF_ANY_PICTURE, Phrase, phrases

# What a text tells, means or is, in place of what it shows.
TOLD = frozenset(
    """story tale narrative anecdote tradition testament reminder metaphor legacy celebration embodiment
    personification epitome philosophy prompt paragraph""".split()  # noqa: SIM905
)
IS = frozenset("is are was were be been being become becomes became remain remains".split())  # noqa: SIM905
THEY = frozenset("it they this these both each he she".split())  # noqa: SIM905
ARTICLES = frozenset("a an the".split())  # noqa: SIM905
# What a thing of the scene may be called all the same: "the car is a deep shade of red", "the bird is the focus".
LOOKS = frozenset(
    """shade hue tint red blue green brown grey gray yellow orange purple pink black white focus point center centre
    contrast part side half size length distance pair match mix blend study splash silhouette presence star hero
    centrepiece centerpiece one ones""".split()  # noqa: SIM905
)


def unseen(text: str, own: str) -> list[str]:
    """The noun phrases of what no picture shows: of what is told or meant, or what `own`'s things are said to be.

    `own` are the words of the scene's things. Likenesses ("like a story") are none.
    """
    mine, found = {singular_of(w) for w in re.findall(r"[a-z']+", own.lower())}, list[str]()
    for phrase in phrases(text):
        head = singular_of(phrase.nouns[-1])
        told = head in TOLD and not LIKENESSES & {*phrase.before}
        if head not in mine and (told or (head not in OF_ANY_PICTURE | LOOKS and _says_what_it_is(phrase, mine))):
            found.append(str(phrase))
    return found


def _says_what_it_is(phrase: Phrase, own: set[str]) -> bool:
    """Whether a phrase follows "the dogs are", or "they are": "the dogs are a family"."""
    *_, subject, verb = ("", "", *phrase.before)
    return verb in IS and bool(ARTICLES & {*phrase.front[:1]}) and (subject in THEY or singular_of(subject) in own)
