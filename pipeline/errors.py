"""The errors whose message is all that a person needs: the command line prints it and no traceback."""

from __future__ import annotations

import errno
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
