"""The identity of code: a definition, and all definitions of this project that it reaches, however deep.

A stage is its function. What it names is followed from module to module, definition by definition, so a function that a
stage never reaches may be edited without staling it. Comments, docstrings and annotations of functions do not count.
What is reached without its name (by `getattr`, say) is not seen. So a module's statements that define nothing, and what
decorators of ours decorate, count as soon as anything of the module does; models are identified by themselves.
"""

from __future__ import annotations

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

PROJECT = ("underpaint.schemas", "underpaint.stages")
LOOSE = ""  # the name under which a module's statements that define nothing are kept
ALL = "*"  # all names of a module
Place = tuple[str, str]  # a module, and a name that it defines


def code_digest(module: str, names: Iterable[str] = (), packages: tuple[str, ...] = PROJECT) -> str:
    """SHA-256 over the definitions that these names of a module reach (all of its own, where none is given)."""
    return total(code_parts(module, names, packages))


def total(parts: dict[str, str]) -> str:
    """One digest of `code_parts`."""
    return hashlib.sha256("".join(f"{name}\0{digest}\0" for name, digest in sorted(parts.items())).encode()).hexdigest()


def code_parts(module: str, names: Iterable[str] = (), packages: tuple[str, ...] = PROJECT) -> dict[str, str]:
    """The same by module: SHA-256 of what is reached of each module of these packages, so that a change can be named.

    The files are read each time, so that an edit during a build is noticed; only the parsing is cached.
    """
    modules: dict[str, Module] = {}
    found: dict[str, set[str]] = defaultdict(set)
    todo: list[Place] = [(module, name) for name in names] or [(module, ALL)]
    while todo:
        where, name = todo.pop()
        if where not in modules:
            modules[where] = _parsed(_file(where).read_text(encoding="utf-8"), packages)
        mine = modules[where]
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
    assert spec is not None and spec.origin is not None, module
    return Path(spec.origin)


@lru_cache(maxsize=1024)
def _parsed(source: str, packages: tuple[str, ...]) -> Module:
    """The digest of a source's syntax tree, and the modules of the packages that it imports."""
    found, own = Module(), set[str]()
    for node in ast.parse(source).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue  # for the type checker alone
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        imported = list(_imported(node, packages))
        defined = _defined(node) | {given for given, _ in imported}
        used = {x.id for x in ast.walk(node) if isinstance(x, ast.Name)}
        called = {x.id for d in getattr(node, "decorator_list", ()) for x in ast.walk(d) if isinstance(x, ast.Name)}
        if not defined or any(found.imports[name] or name in own for name in called):
            defined.add(LOOSE)  # a decorator of ours may put what it decorates anywhere
        own |= set() if isinstance(node, ast.Import | ast.ImportFrom) else defined
        for given, place in imported:
            found.imports[given].add(place)
        inner = [place for x in ast.walk(node) if x is not node for _, place in _imported(x, packages)]
        # An import of ours means what it leads to, wherever that lies.
        meaning = "" if imported else hashlib.sha256(ast.dump(_Bare().visit(node)).encode()).hexdigest()
        for name in defined:
            found.uses[name] |= used
            found.imports[name] |= set(inner)
            found.meaning[name] += meaning
    return found


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign | ast.AugAssign) else targets
    return {x.id for target in targets for x in ast.walk(target) if isinstance(x, ast.Name)}


def _imported(node: ast.AST, packages: tuple[str, ...]) -> Iterator[tuple[str, Place]]:
    """(name given, place) of what a statement imports from these packages; a module counts whole."""
    if isinstance(node, ast.ImportFrom) and node.module and _within(node.module, packages):
        for alias in node.names:
            child = f"{node.module}.{alias.name}"
            yield alias.asname or alias.name, (child, ALL) if _is_module(child) else (node.module, alias.name)
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
