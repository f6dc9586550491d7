"""The identity of code: a definition, and all definitions of this project that it reaches, however deep.

A stage is its function. What it names is followed from module to module, definition by definition, so a function that a
stage never reaches may be edited without staling it. Comments, docstrings and annotations of functions do not count.
What is reached without its name (by `getattr`, or by a base class that lists its subclasses) is not seen. So a module's
statements that define nothing, and what decorators of ours decorate, count as soon as anything of the module does;
models are identified by themselves.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.util import find_spec, resolve_name
from pathlib import Path

PROJECT = ("underpaint.schemas", "underpaint.stages")
LOOSE = ""  # the name under which a module's statements that define nothing are kept
ALL = "*"  # all names of a module
Place = tuple[str, str]  # a module, and a name that it defines


def code_digest(module: str, names: Collection[str] = (), packages: tuple[str, ...] = PROJECT) -> str:
    """SHA-256 over the definitions that these names of a module reach (all of its own, where none is given)."""
    return total(code_parts(module, names, packages))


def total(parts: dict[str, str]) -> str:
    """One digest of `code_parts`."""
    return hashlib.sha256("".join(f"{name}\0{digest}\0" for name, digest in sorted(parts.items())).encode()).hexdigest()


def code_parts(module: str, names: Collection[str] = (), packages: tuple[str, ...] = PROJECT) -> dict[str, str]:
    """The same by module: SHA-256 of what is reached of each module of these packages, so that a change can be named.

    The files are read each time, so that an edit during a build is noticed; only the parsing is cached. Raises
    LookupError for a name that the module does not define.
    """
    modules: dict[str, Module] = {}
    found: dict[str, set[str]] = defaultdict(set)
    todo: list[Place] = [(module, name) for name in names] or [(module, ALL)]
    while todo:
        where, name = todo.pop()
        if where not in modules:
            modules[where] = _module(where, packages)
        mine = modules[where]
        if where == module and name in names and name not in mine.meaning:
            raise LookupError(f"{module} defines no {name} at its top level, so its code cannot be followed")
        wanted = {LOOSE, *([*mine.meaning, *mine.imports] if name == ALL else [name])}
        for one in wanted - found[where]:
            found[where].add(one)
            todo += [(where, used) for used in mine.uses.get(one, ())]
            todo += mine.imports.get(one, ())
    meanings = {m: "".join(modules[m].meaning.get(n, "") for n in sorted(names)) for m, names in found.items()}
    return {m: hashlib.sha256(meaning.encode()).hexdigest() for m, meaning in meanings.items() if meaning}


@dataclass
class Module:
    """What a module's names stand for. Names that stand for something of another module are in `imports`."""

    meaning: dict[str, str] = field(default_factory=lambda: defaultdict(str))  # digests of what defines a name
    uses: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # the names in that
    imports: dict[str, set[Place]] = field(default_factory=lambda: defaultdict(set))


@cache
def _file(module: str) -> Path:
    spec = find_spec(module)
    assert spec is not None, module
    # A folder without an __init__.py has no file; there is nothing in it to follow.
    return Path(spec.origin or os.devnull)


@cache
def _package(module: str) -> str:
    """Where a module's relative imports begin."""
    spec = find_spec(module)
    return spec.parent or "" if spec else ""


def _module(name: str, packages: tuple[str, ...]) -> Module:
    file = _file(name)
    try:
        return _parsed(file.read_text(encoding="utf-8"), packages, _package(name))
    except UnicodeDecodeError:  # compiled
        return Module(meaning=defaultdict(str, {LOOSE: hashlib.sha256(file.read_bytes()).hexdigest()}))


@lru_cache(maxsize=1024)
def _parsed(source: str, packages: tuple[str, ...], package: str) -> Module:
    """What the names of a source in a package stand for."""
    found, own = Module(), set[str]()
    for node in _run_at_import(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        imported = list(_imported(node, packages, package))
        defined = _defined(node) | {given for given, _ in imported}
        used = _names(node)
        called = {name for decorator in getattr(node, "decorator_list", ()) for name in _names(decorator)}
        if not defined or any(found.imports[name] or name in own for name in called):
            defined.add(LOOSE)  # a decorator of ours may put what it decorates anywhere
        own |= set() if isinstance(node, ast.Import | ast.ImportFrom) else defined
        for given, place in imported:
            found.imports[given].add(place)
            # Else two names could be swapped unseen: both of what they stand for would still be reached.
            found.meaning[given] += hashlib.sha256(repr((given, place)).encode()).hexdigest()
        inner = [place for x in ast.walk(node) if x is not node for _, place in _imported(x, packages, package)]
        bare = _Bare().visit(node)
        # What an annotation alone names is followed, for methods are called on it, but under which name says nothing.
        typed = {name for name in used - _names(bare) if name in found.imports}
        inner += [place for name in typed for place in found.imports[name]]
        ours = imported and isinstance(node, ast.ImportFrom)  # counts name by name
        meaning = "" if ours else hashlib.sha256(ast.dump(bare).encode()).hexdigest()
        for name in defined:
            found.uses[name] |= used - typed
            found.imports[name] |= set(inner)
            found.meaning[name] += meaning
    return found


def _run_at_import(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements of a module without those for the type checker alone."""
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from node.orelse
        else:
            yield node


def _names(node: ast.AST) -> set[str]:
    return {x.id for x in ast.walk(node) if isinstance(x, ast.Name)}


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign | ast.AugAssign) else targets
    inside = (ast.Attribute, ast.Subscript)  # it changes what is defined elsewhere, perhaps in another module
    return {
        x.id if isinstance(x, ast.Name) else LOOSE
        for target in targets for x in ast.walk(target) if isinstance(x, (ast.Name, *inside))
    }  # fmt: skip


def _imported(node: ast.AST, packages: tuple[str, ...], package: str) -> Iterator[tuple[str, Place]]:
    """(name given, place) of what a statement imports from these packages; a module counts whole."""
    if isinstance(node, ast.ImportFrom):
        module = resolve_name("." * node.level + (node.module or ""), package)
        for alias in node.names if _within(module, packages) else ():
            child = f"{module}.{alias.name}"
            given = LOOSE if alias.name == ALL else alias.asname or alias.name
            yield given, (child, ALL) if _is_module(child) else (module, alias.name)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            if _within(alias.name, packages):  # perhaps for what it does when it is imported
                yield LOOSE, (alias.name, ALL)


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


@cache
def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # what it would lie in is no package
        return False


class _Bare(ast.NodeTransformer):
    """Without docstrings and without the annotations of functions, which change nothing that is made."""

    def _bare(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body = node.body  # type: ignore[attr-defined]
        if ast.get_docstring(node) is not None:  # type: ignore[arg-type]
            body[:1] = [] if len(body) > 1 else [ast.Pass()]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        for value in (one.value for one in node.body if isinstance(one, ast.AnnAssign)):
            if isinstance(value, ast.Call) and node.name.endswith("Params"):  # what a parameter means is for people
                value.keywords = [k for k in value.keywords if k.arg != "description"]
        return self._bare(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._bare(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node
