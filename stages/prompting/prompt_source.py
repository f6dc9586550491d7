"""The user's own prompts, from a file in any format of `prompt_files`, with their scene graphs where it holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from underpaint.schemas.markup import unwritable, writable
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.common.recipe_paths import RecipePath
from underpaint.stages.prompting.prompt_files import (
    COLUMNS,
    PROMPT,
    READABLE,
    Row,
    Rows,
    SourceError,
    files_digest,
    list_files,
    load_json,
    open_rows,
)


class PromptSource(BaseModel):
    """A list of prompts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    path: RecipePath = Field(min_length=1, description=f"relative to the recipe: {READABLE}")
    column: str = Field(
        default="",
        description="where the prompts stand, in all formats but plain text;"
        f" the first of {', '.join(COLUMNS)}, in any case, where none is named",
    )
    scene: str = Field(
        default="",
        description="the column of scene graphs, where the list has them: they are the truth, no model reads prompts",
    )
    indirect: bool = Field(
        default=False,
        description='the prompts say what they want in other words ("the national animal of …"), so that it takes'
        " knowledge to hold them against a scene",
    )
    reader: Literal["writer", "grammar"] = Field(
        default="writer",
        description="who reads what the grammar cannot: the writer, or nobody (`grammar`), and then no model is loaded",
    )
    repeat: int = Field(
        default=1, ge=1, description="goes through the list that often; each time it is planned and painted anew"
    )
    open_words: bool = Field(
        default=False,
        description="lets the writer, or the list's scene graphs, name what the vocabulary lacks",
    )

    def digest(self) -> str:
        """SHA-256 of the files' content; their names do not count. Raises SourceError."""
        return _digest(tuple((f, f.stat().st_mtime_ns, f.stat().st_size) for f in list_files(Path(self.path))))


@dataclass(frozen=True)
class OwnPrompt:
    """A prompt of the list and its number there, from 1; `text` is "" where the row holds only a scene graph."""

    number: int
    text: str
    scene: SceneGraph | None = None


class RowError(ValueError):
    """A row without a usable prompt; the message names its line and column."""


class PromptList:
    """A list of prompts that is read a slice at a time. A bad row is returned as the error that says why."""

    def __init__(self, rows: Rows, path: Path, column: str, scene: str) -> None:
        """Raises SourceError where the columns are not there, or the first row has something else in them."""
        self.rows, self.path, self.scene = rows, path, scene
        plain = path.suffix.lower() == ".txt"
        self.column = PROMPT if plain else _column(rows, path, column, needed=not scene)
        if scene and plain:
            raise SourceError("scene", f"{path} is plain text, which holds no scene graphs; give JSON lines")
        if scene and scene not in rows.names:
            raise SourceError("scene", f"{path} has no column {scene!r}; there are {', '.join(rows.names)}")
        self.columns = [name for name in (self.column, self.scene) if name]
        self._check_first()

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, start: int, stop: int) -> list[OwnPrompt | RowError]:
        """Prompts `start` … `stop` - 1, fewer at the end of the list."""
        return [self._prompt(row) for row in self.rows.read(start, stop, self.columns)]

    def _prompt(self, row: Row) -> OwnPrompt | RowError:
        try:
            if isinstance(row.cells, ValueError):
                raise row.cells
            text = _text(row.cells, self.column or _known(row.cells))
            scene = _scene(row.cells, self.scene) if self.scene else None
            if not text and scene is None:
                raise ValueError(f"the {self.column!r} is missing or blank")
        except ValueError as e:
            return RowError(f"{self.rows.unit} {row.number}: {e}")
        return OwnPrompt(row.number, text, scene)

    def _check_first(self) -> None:
        """If the first row holds no text, the recipe names the wrong column. If a later one holds none, it is bad."""
        cells = self.rows.read(0, 1, self.columns)[0].cells
        value = None if isinstance(cells, ValueError) else cells.get(self.column)
        if value is not None and not isinstance(value, (str, ValueError)):
            kind = type(value).__name__
            raise SourceError("column", f"{self.path}: the column {self.column!r} holds {kind}, not text")


def open_prompts(source: PromptSource) -> PromptList:
    """Open a list of prompts. Raises SourceError where file or column is missing, or the list is empty."""
    files = tuple(list_files(Path(source.path)))
    return _open(Path(source.path), source.column, source.scene, files, tuple(f.stat().st_mtime_ns for f in files))


def read_stream(source: PromptSource, start: int, size: int) -> list[OwnPrompt | RowError]:
    """`size` prompts from `start` on, of the list repeated `repeat` times; fewer at its end, none beyond."""
    prompts = open_prompts(source)
    stop = min(start + size, len(prompts) * source.repeat)
    found: list[OwnPrompt | RowError] = []
    while start + len(found) < stop:
        at = (start + len(found)) % len(prompts)
        found += prompts.read(at, at + stop - start - len(found))
    return found


@lru_cache(maxsize=4)
def _open(path: Path, column: str, scene: str, files: tuple[Path, ...], changed: tuple[int, ...]) -> PromptList:
    return PromptList(open_rows(files), path, column, scene)


@lru_cache(maxsize=8)
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    return files_digest(file for file, _, _ in files)


def _known(names: Iterable[str]) -> str:
    """The first of `COLUMNS` among the names, as it is spelt there; "" where none is."""
    there = list(names)
    return next((name for known in COLUMNS for name in there if name.lower() == known), "")


def _column(rows: Rows, path: Path, named: str, needed: bool) -> str:
    """The column of prompts; "" where there is none and none is needed. Raises SourceError."""
    if found := named if named in rows.names else "" if named else _known(rows.names):
        return found
    if not named and not needed:
        return ""
    hint = ""
    if len(rows.names) == 1 and (other := next((c for c in "\t;,|" if c in rows.names[0]), "")):
        hint = f"; its cells seem to be divided by {other!r}: a .tsv has tabs, a .csv commas"
    wanted = repr(named) if named else f"{', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}"
    raise SourceError("column", f"{path} has no column {wanted}; there are {', '.join(rows.names) or 'none'}{hint}")


def _text(cells: Mapping[str, Any], column: str) -> str:
    """The prompt on one line, "" where there is none. Raises ValueError where it is no text that a file can hold."""
    value = cells.get(column)
    if value is None:
        return ""
    if isinstance(value, ValueError):
        raise value
    if not isinstance(value, str):
        raise ValueError(f"the {column!r} is no text, but {value!r}")
    text = " ".join(value.split())
    if why := unwritable(text):
        raise ValueError(f"the {column!r} holds {why}")
    return text


def _scene(cells: Mapping[str, Any], column: str) -> SceneGraph:
    """The scene graph of a row, an object or its JSON. Raises ValueError that names the field that is wrong."""
    value = cells.get(column)
    if isinstance(value, ValueError):
        raise value
    if value is None or value == "":
        raise ValueError(f"the {column!r} holds no scene graph")
    try:
        return SceneGraph.model_validate(_clean(load_json(value) if isinstance(value, str) else value, column))
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, (column, *first['loc'])))}: {first['msg']}") from None
    except RecursionError:
        raise ValueError(f"{column}: nested too deeply") from None


def _clean(value: Any, field: str) -> Any:
    """The same without fields that hold null: in Arrow every object has the fields of all others.

    Raises ValueError where a word holds what no file can hold.
    """
    if isinstance(value, dict):
        return {_clean(key, field): _clean(one, f"{field}.{key}") for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_clean(one, f"{field}.{i}") for i, one in enumerate(value)]
    if isinstance(value, str) and (why := unwritable(value)):
        raise ValueError(f"{writable(field)} holds {why}")
    return value
