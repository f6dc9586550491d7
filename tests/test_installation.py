"""Which code made a sample: the commit of this checkout or of the built package, never that of a repository around."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

from underpaint.pipeline.common.installation import built_from

RELEASE = re.compile(r"[0-9][0-9a-z.]*\+sha256\.[0-9a-f]{64}")


def git(folder: Path, *arguments: str) -> str:
    words = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def repository(folder: Path) -> str:
    """A repository with one commit, whose name is returned."""
    (folder / "pipeline").mkdir(parents=True)
    (folder / "pipeline" / "build.py").write_text("x = 1\n")
    (folder / "notes.md").write_text("a\n")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return git(folder, "rev-parse", "HEAD")


def test_a_checkout_is_its_commit_until_its_code_is_edited(tmp_path: Path) -> None:
    commit = repository(tmp_path)
    (tmp_path / "notes.md").write_text("b\n")  # no code
    assert built_from(tmp_path) == commit
    (tmp_path / "pipeline" / "new.py").write_text("")
    assert built_from(tmp_path) == ""
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "second")
    assert built_from(tmp_path) == git(tmp_path, "rev-parse", "HEAD") != commit


def test_a_package_in_a_foreign_repository_is_what_it_was_built_from(tmp_path: Path) -> None:
    foreign = repository(tmp_path)
    package = tmp_path / "site-packages" / "underpaint"
    (package / "pipeline").mkdir(parents=True)
    assert built_from(package) == ""
    (package / "COMMIT").write_text("c" * 40 + "\n")
    assert built_from(package) == "c" * 40
    assert built_from(tmp_path / "pipeline") == "" and built_from(tmp_path) == foreign


def test_code_of_no_commit_is_named_by_its_digest(tmp_path: Path) -> None:
    foreign = repository(tmp_path)
    package = tmp_path / "site-packages" / "underpaint"
    for name in ("schemas", "stages", "pipeline"):
        shutil.copytree(ROOT / name, package / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "underpaint" / "__init__.py", package / "__init__.py")

    def said() -> str:
        words = [
            sys.executable,
            "-c",
            "from underpaint.pipeline.common.installation import code_commit; print(code_commit())",
        ]
        environment = {**os.environ, "PYTHONPATH": str(package.parent)}
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    before = said()
    assert RELEASE.fullmatch(before) and foreign not in before
    assert said() == before
    with (package / "schemas" / "markup.py").open("a") as file:
        file.write("X = 1\n")
    assert RELEASE.fullmatch(said()) and said() != before
