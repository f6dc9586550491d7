"""Write the files that follow from the schema: ``python -m underpaint.schemas.corpus.write_schema``.

The one module here that touches files: schemas/corpus/underpaint-1.schema.json and the tables in docs/format.md.
"""

from __future__ import annotations

import json
from pathlib import Path

from underpaint.schemas.corpus.fields import json_schema, markdown_tables

ROOT = Path(__file__).parents[2]
SCHEMA_FILE = ROOT / "schemas" / "corpus" / "underpaint-1.schema.json"
DOCS_FILE = ROOT / "docs" / "format.md"
BEGIN = "<!-- fields: written by `python -m underpaint.schemas.corpus.write_schema` -->"
END = "<!-- /fields -->"


def schema_text() -> str:
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def docs_text(current: str) -> str:
    """The page with its field tables renewed. Raises ValueError where the markers are missing."""
    return renewed(current, DOCS_FILE, BEGIN, END, markdown_tables())


def renewed(current: str, page: Path, first: str, last: str, tables: str) -> str:
    """The text of a page with new tables between its markers. Raises ValueError where these are missing."""
    head, begin, rest = current.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{page}: the markers {first!r} and {last!r} are missing; put them around the tables")
    return f"{head}{first}\n\n{tables}\n\n{last}{tail}"


def stale() -> list[Path]:
    """The files that are not what the schema says they should be."""
    expected = {SCHEMA_FILE: schema_text(), DOCS_FILE: docs_text(DOCS_FILE.read_text("utf-8"))}
    return [f for f, text in expected.items() if not f.is_file() or f.read_text("utf-8") != text]


def main() -> None:
    SCHEMA_FILE.write_text(schema_text(), "utf-8")
    DOCS_FILE.write_text(docs_text(DOCS_FILE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
