"""Errors whose message is all that a person needs: the command line prints only the message, no traceback."""

from __future__ import annotations

import errno
from pathlib import Path


class UserError(Exception):
    """An error that the user can mend; the message says what is wrong, in which file or field, and what to do.

    Exit code 2.
    """


class BuildError(Exception):
    """A failure that no input caused, such as lots that could not be made or a broken ledger. Exit code 1."""


def disk_full(root: Path, error: BaseException) -> UserError | None:
    """A UserError for an error that means a full disk; None for any other error."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"{root}: the disk is full; free some room and build again, nothing that is done is lost")
    return None
