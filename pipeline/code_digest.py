"""The identity of a stage's code: its module and the project modules it imports, without comments and docstrings.

Code that changes what a stage makes must change its fingerprint; a reworded comment must not.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PROJECT = ("schemas", "stages")
# Never part of what a stage makes: model classes are identified by their settings in the recipe.
APART = ("stages.models.kinds",)


@cache
def code_digest(module: str) -> str:
    """SHA-256 over the syntax trees of a module and of every project module it imports, however deep."""
    total = hashlib.sha256()
    for name in sorted(_closure(module)):
        total.update(f"{name}\0{_meaning(name)}\0".encode())
    return total.hexdigest()


def _closure(module: str) -> set[str]:
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name not in seen and name not in APART:
            seen.add(name)
            todo += _imports(name)
    return seen


@cache
def _tree(module: str) -> ast.Module:
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None, module
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _imports(module: str) -> list[str]:
    found = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PROJECT:
            children = (f"{node.module}.{alias.name}" for alias in node.names)
            modules = [c for c in children if node.module in PROJECT and find_spec(c)]
            found += modules or [node.module]
        elif isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in PROJECT]
    return found


def _meaning(module: str) -> str:
    tree = _tree(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[:1] = [] if len(node.body) > 1 else [ast.Pass()]
    return ast.dump(tree)
