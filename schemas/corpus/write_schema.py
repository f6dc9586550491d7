"""Writes the files generated from the sample's models: ``python -m underpaint.schemas.corpus.write_schema``.

They are schemas/corpus/underpaint-1.schema.json and the tables in docs/format.md. With ``--check`` it only compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from underpaint.schemas.corpus.fields import json_schema, markdown_tables

ROOT = Path(__file__).parents[2]
SCHEMA_FILE = ROOT / "schemas" / "corpus" / "underpaint-1.schema.json"
DOCS_FILE = ROOT / "docs" / "format.md"
BEGIN = "<!-- fields: written by `python -m underpaint.schemas.corpus.write_schema` -->"
END = "<!-- /fields -->"


def schema_text() -> str:
    """The text of the JSON Schema file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def docs_text(current: str) -> str:
    """docs/format.md with new field tables. Raises ValueError where its markers are missing."""
    return renewed(current, DOCS_FILE, BEGIN, END, markdown_tables())


def renewed(current: str, page: Path, first: str, last: str, tables: str) -> str:
    """The text of a page with new tables between its two markers. Raises ValueError where a marker is missing."""
    head, begin, rest = current.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{page}: the markers {first!r} and {last!r} are missing; put them around the tables")
    return f"{head}{first}\n\n{tables}\n\n{last}{tail}"


def stale() -> list[Path]:
    """The generated files that are missing or not up to date."""
    expected = {SCHEMA_FILE: schema_text(), DOCS_FILE: docs_text(DOCS_FILE.read_text("utf-8"))}
    return [f for f, text in expected.items() if not f.is_file() or f.read_text("utf-8") != text]


def main(arguments: list[str]) -> int:
    """The command line: [] writes the files, ["--check"] only compares. Returns the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m underpaint.schemas.corpus.write_schema [--check]", file=sys.stderr)
        return 2
    if arguments:
        for file in stale():
            print(f"{file}: not up to date; run python -m underpaint.schemas.corpus.write_schema", file=sys.stderr)
        return int(bool(stale()))
    SCHEMA_FILE.write_text(schema_text(), "utf-8")
    DOCS_FILE.write_text(docs_text(DOCS_FILE.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
