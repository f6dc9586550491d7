"""Writes the files generated from the sample's models: ``python -m underpaint.schemas.corpus.write_schema``.

They are schemas/corpus/underpaint-1.schema.json and the tables in docs/format.md. With ``--check`` it only compares.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from underpaint.schemas.corpus.fields import json_schema, markdown_tables
from underpaint.schemas.corpus.subsets import SAMPLE_KINDS

ROOT = Path(__file__).parents[2]
SCHEMA_FILE = ROOT / "schemas" / "corpus" / "underpaint-1.schema.json"
DOCS_FILE = ROOT / "docs" / "format.md"
BEGIN = "<!-- fields: written by `python -m underpaint.schemas.corpus.write_schema` -->"
END = "<!-- /fields -->"
KINDS_BEGIN, KINDS_END = BEGIN.replace("fields", "sample kinds"), "<!-- /sample kinds -->"


def json_text(schema: Mapping[str, Any]) -> str:
    """The text of a file that holds a JSON Schema."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def docs_text(current: str) -> str:
    """The page with its tables of fields and of sample kinds renewed. Raises ValueError where markers are missing."""
    page = renewed(current, DOCS_FILE, BEGIN, END, markdown_tables())
    return renewed(page, DOCS_FILE, KINDS_BEGIN, KINDS_END, kinds_table())


def kinds_table() -> str:
    """A row a kind of sample, with the order of its segments as a regular expression and its targets in bold."""
    lines = ["| sample kind | ids | segments |", "| --- | --- | --- |"]
    for name, kind in SAMPLE_KINDS.items():
        targets = sorted(set(re.findall(r"\w+", kind.order)) - kind.subset.context)
        order = re.sub(rf"\b({'|'.join(targets)})\b", r"**\1**", kind.order)
        lines.append(f"| {name} | `{kind.subset.abbreviation}-…` | {order} |")
    return "\n".join(lines)


def renewed(current: str, page: Path, first: str, last: str, tables: str) -> str:
    """The text of a page with new tables between its two markers. Raises ValueError where a marker is missing."""
    head, begin, rest = current.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{page}: the markers {first!r} and {last!r} are missing; put them around the tables")
    return f"{head}{first}\n\n{tables}\n\n{last}{tail}"


def files() -> dict[Path, str]:
    """Every file that follows from the schema, with the text that it should hold."""
    return {SCHEMA_FILE: json_text(json_schema()), DOCS_FILE: docs_text(DOCS_FILE.read_text("utf-8"))}


def stale(expected: Mapping[Path, str]) -> list[Path]:
    """The files that do not hold the text that they should."""
    return [f for f, text in expected.items() if not f.is_file() or f.read_text("utf-8") != text]


def write_or_check(expected: Mapping[Path, str], module: str, arguments: list[str]) -> int:
    """Write generated files, or with ``--check`` name those that are not up to date: the exit code of `module`."""
    if arguments not in ([], ["--check"]):
        print(f"usage: python -m {module} [--check]", file=sys.stderr)
        return 2
    for file in stale(expected):
        if arguments:
            print(f"{file}: not up to date; run python -m {module}", file=sys.stderr)
        else:
            file.write_text(expected[file], "utf-8")
    return int(bool(arguments and stale(expected)))


if __name__ == "__main__":
    raise SystemExit(write_or_check(files(), "underpaint.schemas.corpus.write_schema", sys.argv[1:]))
