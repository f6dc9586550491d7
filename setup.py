"""Lists the packages, and writes into every wheel and sdist the commit it is built from; the rest: pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
INSTALLATION = run_path(str(HERE / "pipeline" / "common" / "installation.py"))


def note_commit(folder: Path) -> None:
    """Never into the checkout itself: there git is asked."""
    if commit := INSTALLATION["built_from"](HERE):
        (folder / INSTALLATION["COMMIT"]).write_text(f"{commit}\n")


class BuildPy(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            note_commit(Path(self.build_lib) / "underpaint")


class Sdist(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        note_commit(Path(base_dir))


ROOMS = find_packages(include=["schemas*", "stages*", "pipeline*", "miniature*"])
PACKAGES = [*ROOMS, "recipes", "recipes.vocabularies"]
setup(packages=["underpaint", *(f"underpaint.{p}" for p in PACKAGES)], cmdclass={"build_py": BuildPy, "sdist": Sdist})
