"""The errors whose message is all that a person needs: the command line prints it and no traceback."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """Caused by a person, who can mend it: what is wrong, in which file or field, and what to do. Exit code 2."""


class BuildError(Exception):
    """Something failed that is nobody's input: lots that could not be made, a ledger that does not balance. Exit 1."""


def disk_full(root: Path, error: BaseException) -> UserError | None:
    """What to say where an error is a disk without room; None where it is another."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"{root}: the disk is full; free some room and build again, nothing that is done is lost")
    return None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that was meant instead of an unknown one, else all of them; "" where none is known."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are {', '.join(words)}" if words else ""
