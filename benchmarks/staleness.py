"""Which stages an edit of a module stales: every module that stages may reach is really edited, one after the other.

    python -m benchmarks.staleness            # writes the table into docs/fingerprints.md
    python -m benchmarks.staleness --check    # exits with 1 where the page has another one

An edit changes all functions, classes and values of a module without changing what they do, in a copy that only the
fingerprints read. The recipe is recipes/miniature.yaml.
"""

from __future__ import annotations

import ast
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.recipe.recipe import Recipe, load_recipe
from underpaint.stages.all_stages import STAGES
from underpaint.stages.common import code_digest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "fingerprints.md"
BEGIN, END = "<!-- table: written by `python -m benchmarks.staleness` -->", "<!-- /table -->"


class _Edit(ast.NodeTransformer):
    """Changes every definition at the top of a module, and what else it does when it is imported."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        for one in node.body:
            if isinstance(one, ast.FunctionDef | ast.ClassDef):
                one.body.append(ast.Pass())
            elif isinstance(one, ast.Assign | ast.AnnAssign) and one.value is not None:
                one.value = ast.Subscript(ast.Tuple([one.value], ast.Load()), ast.Constant(0), ast.Load())
        node.body.append(ast.Pass())
        return ast.fix_missing_locations(node)


@contextmanager
def edited(module: str, source: str) -> Iterator[None]:
    """Fingerprints read `source` in place of a module's file."""
    file_of = code_digest._file
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "edited.py"
        other.write_text(source, encoding="utf-8")
        code_digest._file = lambda name: other if name == module else file_of(name)  # type: ignore[assignment]
        try:
            yield
        finally:
            code_digest._file = file_of


def stale_by(recipe: Recipe, module: str, source: str) -> set[str]:
    """The stages that are stale once a module has this source."""
    before = build_graph(recipe)
    with edited(module, source):
        after = build_graph(recipe)
    return {name for name in before if before[name].fingerprint != after[name].fingerprint}


def edit_all(module: str) -> str:
    """The source of a module with all its definitions edited."""
    return ast.unparse(_Edit().visit(ast.parse(code_digest._file(module).read_text(encoding="utf-8"))))


def table(recipe: Recipe) -> str:
    """A row a module, a column a stage, as Markdown; modules that stale the same stages share a row."""
    rows: dict[frozenset[str], list[str]] = {}
    files = sorted(f for room in ("schemas", "stages") for f in (ROOT / room).rglob("*.py") if f.stat().st_size)
    for file in files:
        module = "underpaint." + ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        rows.setdefault(frozenset(stale_by(recipe, module, edit_all(module))), []).append(module)
    lines = [f"| edited | stale | {' | '.join(STAGES)} |", f"| --- | --- |{' :-: |' * len(STAGES)}"]
    for stale, modules in sorted(rows.items(), key=lambda row: (len(row[0]), row[1])):
        names = ", ".join(f"`{m.removeprefix('underpaint.')}`" for m in modules)
        marks = " | ".join("×" if name in stale else " " for name in STAGES)
        lines.append(f"| {names} | {len(stale)} | {marks} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """The page's text with a table made anew."""
    head, _, rest = text.partition(BEGIN)
    made = table(load_recipe(ROOT / "recipes" / "miniature.yaml"))
    return f"{head}{BEGIN}\n\n{made}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    fresh = page(PAGE.read_text(encoding="utf-8"))
    if "--check" in sys.argv:
        sys.exit(int(fresh != PAGE.read_text(encoding="utf-8")))
    PAGE.write_text(fresh, encoding="utf-8")
