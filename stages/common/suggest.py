"""Suggests the known word that was probably meant: "did you mean …?"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the closest known word, or all of them if none is close; "" if none is known."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are {', '.join(words)}" if words else ""
