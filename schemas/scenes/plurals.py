"""The plural of an English noun that no vocabulary lists, by the library inflect."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _engine() -> Any:
    try:
        import inflect  # slow to import, and a dependency of builds alone: no reader of shards needs a plural
    except ImportError:
        raise ValueError(
            "the plural of a noun is made by the library inflect, which is not installed: "
            "pip install underpaint[build], or write nouns with their plurals"
        ) from None
    return inflect.engine()


@lru_cache(maxsize=65536)
def singular_of(word: str) -> str:
    """The singular: "cars" → "car". A word that is none stays. Raises ValueError where inflect is not installed."""
    return str(_engine().singular_noun(word) or word) if word.isalpha() else word


@lru_cache(maxsize=65536)
def plural_of(noun: str) -> str:
    """The plural: "pair of skis" → "pairs of skis", "TV" → "TVs". A noun that is one already stays ("chopsticks").

    Raises ValueError where inflect is not installed.
    """
    if is_name(noun):
        return noun
    if noun[-1:].isupper():
        return f"{noun}s"
    # A singular may end in "us", "is", "as" or "ss" (bus, iris, canvas, glass), and hardly in any other "s".
    if re.search(r"[^aius]s$", noun) and not noun.endswith("lens"):
        return noun
    singular = _engine().singular_noun(noun)
    if singular and singular != noun and not noun.endswith("s"):  # people, children
        return noun
    return str(_engine().plural_noun(noun))


def is_name(noun: str) -> bool:
    """Whether a noun is spelled as a name of two words or more ("Albert Einstein"), which takes no article."""
    words = noun.split()
    return len(words) > 1 and all(
        re.fullmatch(r"[^\W\d_][^\W\d_'’-]*[a-z][\w'’-]*", w) and w[0].isupper() for w in words
    )
