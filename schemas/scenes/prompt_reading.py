"""Reads prompts as people write them into scene graphs, where their sentences are simple enough.

``a photo of a bird left of a couch``  ``Two red cars and a dog``  ``picture of 3 buses.``
"""

from __future__ import annotations

import re

from underpaint.schemas.scenes.grammar import NUMBERS, GrammarError, read, read_object, split_background
from underpaint.schemas.scenes.scene import Relation, SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary

_LEAD_IN = re.compile(r"(?:an? |the )?(?:photo|photograph|picture|image|drawing|painting|illustration) of ")


def plain_words(prompt: str) -> str:
    """The prompt in lower case, without a lead-in ("a photo of"), with digits as words and one full stop.

    "left of" becomes "to the left of".
    """
    words = " ".join(prompt.lower().split()).rstrip(".! ")
    words = _LEAD_IN.sub("", words, count=1) if _LEAD_IN.match(words) else words
    words = re.sub(r"\b(?:[1-9]|10)\b", lambda m: NUMBERS[int(m[0])], words)
    words = re.sub(r"(?:\b(?:to|on|at) the )?\b(left|right) of\b", r"to the \1 of", words)
    return words + "."


def read_prompt(prompt: str, vocabulary: Vocabulary) -> SceneGraph:
    """The graph of a prompt. Raises GrammarError quoting the part that is not understood."""
    words = plain_words(prompt)
    try:
        return read(words, vocabulary)
    except GrammarError:
        first, _, rest = words.removesuffix(".").partition(". ")
        related = None if rest else _read_related(first, vocabulary)
        if related is None:
            raise
        return related


def _read_related(words: str, vocabulary: Vocabulary) -> SceneGraph | None:
    """Read "a bird to the left of a couch": two objects and their relation. None for any other form."""
    words, background = split_background(words)
    for predicate in sorted(vocabulary.relations, key=len, reverse=True):
        sides = re.fullmatch(rf"(.+?) (?:(?:that )?is |(?:that )?are )?{re.escape(predicate)} (.+)", words)
        if sides is None:
            continue
        try:
            subject, object = (read_object(side, vocabulary, f"o{i}") for i, side in enumerate(sides.groups()))
        except GrammarError:
            continue
        if background and vocabulary.backgrounds and background not in vocabulary.backgrounds:
            raise GrammarError(f"unknown background {background!r}")
        relation = Relation(subject=subject.id, predicate=predicate, object=object.id)
        return SceneGraph(objects=(subject, object), relations=(relation,), background=background)
    return None
