"""Whether words of a phrase stand in a text, in whatever form: "riding" in "a man rides", "wood" in "wooden"."""

from __future__ import annotations

import re
from functools import lru_cache

from underpaint.schemas.scenes.vocabulary import folded

_EMPTY = {
    "a", "an", "and", "are", "at", "by", "each", "for", "from", "in", "is", "its", "made", "of", "on", "other", "style",
    "the", "to", "with",
}  # fmt: skip
_SPELT = {"color": "colour", "colored": "coloured", "gray": "grey", "center": "centre", "middle": "centre"}
_ENDING = re.compile(r"(?<=\w{3})(?:ies|ing|ed|en|es|s|ly|y|e)$")


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """What the forms of a word share; short, and no word itself. Irregular forms ("sat") are not known."""
    bare = _SPELT.get(word, word).removesuffix("'s")
    for _ in range(2):  # "paintings" loses two endings
        bare = _ENDING.sub("", bare)
    return re.sub(r"([^\W\d_])\1$", r"\1", bare) if len(bare) > 3 else bare


def stems(text: str) -> set[str]:
    """The stems of all words of a text; those of a hyphenated word too ("cream-colored")."""
    words = re.findall(r"[\w'-]+", folded(text))
    return {stem(part) for word in words for part in (word, *word.split("-")) if part}


def content(phrase: str) -> set[str]:
    """The stems of a phrase's words that say something; all of them where none does ("on")."""
    words = re.findall(r"[\w']+", folded(phrase))
    return {stem(w) for w in words if w not in _EMPTY} or {stem(w) for w in words}


def stands(phrase: str, text: str) -> bool:
    """Whether some word of the phrase that says something stands in the text."""
    return not content(phrase).isdisjoint(stems(text))
