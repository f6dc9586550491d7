"""Digests the code of a stage: its module and the project modules it imports, without comments and docstrings.

A change of code that changes what a stage makes must change its fingerprint; a reworded comment must not.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

PROJECT = ("underpaint.schemas", "underpaint.stages")
# Left out: models are identified by their settings in the recipe.
APART = ("underpaint.stages.models.kinds",)


def code_digest(module: str, packages: tuple[str, ...] = PROJECT) -> str:
    """SHA-256 over the syntax trees of a module and of all modules of these packages that it imports, also indirectly.

    The files are read each time, so that an edit during a build is noticed; only the parsing is cached.
    """
    total = hashlib.sha256()
    for name, meaning in sorted(_closure(module, packages).items()):
        total.update(f"{name}\0{meaning}\0".encode())
    return total.hexdigest()


def _closure(module: str, packages: tuple[str, ...]) -> dict[str, str]:
    """The module and all that it imports, each with the digest of its syntax tree."""
    found: dict[str, str] = {}
    todo = [module]
    while todo:
        name = todo.pop()
        if name not in found and name not in APART:
            found[name], imports = _parsed(_file(name).read_text(encoding="utf-8"), packages)
            todo += imports
    return found


@cache
def _file(module: str) -> Path:
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None, module
    return Path(spec.origin)


@lru_cache(maxsize=1024)
def _parsed(source: str, packages: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The digest of a source's syntax tree, and the modules of the packages that it imports."""
    tree = ast.parse(source)
    imports = tuple(_imports(tree, packages))  # before `_meaning`, which cuts docstrings out of the tree
    return hashlib.sha256(_meaning(tree).encode()).hexdigest(), imports


def _imports(tree: ast.Module, packages: tuple[str, ...]) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and _within(node.module, packages):
            children = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [child if _is_module(child) else node.module for child in children]
        elif isinstance(node, ast.Import):
            found += [a.name for a in node.names if _within(a.name, packages)]
    return found


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


@cache
def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package
        return False


def _meaning(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[:1] = [] if len(node.body) > 1 else [ast.Pass()]
    return ast.dump(tree)
