"""The one error a person caused and can mend. The command line prints its message and exits with 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """What is wrong, in which file or field, and what to do."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that was meant instead of an unknown one, else all of them; "" where none is known."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are {', '.join(words)}" if words else ""
