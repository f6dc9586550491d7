"""Where this code lies, and which code it is.

setup.py runs this file by its path while the package is built, so it imports the standard library alone.
"""

from __future__ import annotations

import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Holds schemas/, stages/, pipeline/, miniature/ and recipes/: a checkout, or the installed package.
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "stages", "pipeline")
COMMIT = "COMMIT"  # the file in a wheel or an sdist that says which commit it was built from


@lru_cache
def code_commit() -> str:
    """What samples call the code that made them.

    The commit that is checked out, or from which the installed package was built. Where there is none, or where the
    code has edits that were not committed: the release and the SHA-256 of the code, "0.1.0+sha256.<64 hex digits>".
    """
    return built_from(ROOT) or f"{_release()}+sha256.{_code_sha256()}"


def built_from(root: Path) -> str:
    """The commit of the code in a checkout, or in a package that notes it; "" where it is of no commit.

    A repository that merely surrounds the folder (an environment inside somebody's own project) says nothing about it.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    if top and Path(top).resolve() == root:
        edited = _git(root, "status", "--porcelain", "--", "underpaint", *PACKAGES)
        return "" if edited else _git(root, "rev-parse", "HEAD")
    noted = root / COMMIT
    return noted.read_text().strip() if noted.is_file() else ""


def _git(root: Path, *arguments: str) -> str:
    """What git answers, "" where it has no answer or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _release() -> str:
    try:
        return version("underpaint")
    except PackageNotFoundError:  # a bare copy that was never installed
        return "0"


def _code_sha256() -> str:
    from underpaint.stages.models.checkpoint import files_digest

    files = (f for name in PACKAGES for f in (ROOT / name).rglob("*") if f.suffix in (".py", ".j2"))
    return files_digest(ROOT, files)
