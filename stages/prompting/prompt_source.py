"""Reads the user's own prompts: plain text, JSONL, Parquet, or a Hugging Face dataset saved on disk.

Prompt *i* is the *i*-th of the list, always. Files are read a slice at a time (Parquet by row group, Arrow through a
memory map), so a list may be larger than memory.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from underpaint.stages.common.recipe_paths import RecipePath

READABLE = ".txt, .jsonl, .parquet, .arrow, or a folder that datasets.Dataset.save_to_disk wrote"
STRIDE = 1024  # a text file's reader remembers the offset of every STRIDE-th line


class SourceError(ValueError):
    """A list that cannot be read. `field` is the parameter that is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class PromptSource(BaseModel):
    """A list of prompts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    path: RecipePath = Field(min_length=1, description=f"relative to the recipe: {READABLE}")
    column: str = Field(
        default="prompt", min_length=1, description="where the prompts stand, in all formats but plain text"
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
        description="lets the writer name objects, attributes and relations that the vocabulary lacks",
    )

    def digest(self) -> str:
        """SHA-256 of the files' content; their names do not count. Raises SourceError."""
        return _digest(tuple((str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in _files(Path(self.path))))


class PromptList(Protocol):
    """A list of prompts that is read a slice at a time. A bad row is returned as the exception that says why."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> list[str | ValueError]:
        """Prompts `start` … `stop` - 1, fewer at the end of the list."""


def open_prompts(source: PromptSource) -> PromptList:
    """Open a list of prompts. Raises SourceError where file or column is missing, or the list is empty."""
    files = tuple(_files(Path(source.path)))
    return _open(files, source.column, tuple(f.stat().st_mtime_ns for f in files))


def read_stream(source: PromptSource, start: int, size: int) -> list[str | ValueError]:
    """`size` prompts from `start` on, of the list repeated `repeat` times; fewer at its end, none beyond."""
    prompts = open_prompts(source)
    stop = min(start + size, len(prompts) * source.repeat)
    found: list[str | ValueError] = []
    while start + len(found) < stop:
        at = (start + len(found)) % len(prompts)
        found += prompts.read(at, at + stop - start - len(found))
    return found


@lru_cache(maxsize=4)
def _open(files: tuple[Path, ...], column: str, changed: tuple[int, ...]) -> PromptList:
    readers: dict[str, Callable[[tuple[Path, ...], str], PromptList]]
    readers = {".txt": Lines, ".jsonl": Lines, ".parquet": ParquetColumn, ".arrow": ArrowColumn}
    try:
        prompts = readers[files[0].suffix](files, column)
    except (OSError, pa.ArrowException) as e:
        raise SourceError("path", f"{files[0]} cannot be read: {e}") from None
    if not len(prompts):
        raise SourceError("path", f"{files[0]} holds no prompt")
    return prompts


def _files(path: Path) -> list[Path]:
    """The files of a list, in order, all of one kind."""
    if not path.exists():
        raise SourceError("path", f"{path} does not exist")
    if path.is_file():
        if path.suffix not in (".txt", ".jsonl", ".parquet", ".arrow"):
            raise SourceError("path", f"{path}: prompts are read from {READABLE}; convert it to one of them")
        return [path]
    if (path / "dataset_dict.json").is_file():
        splits = ", ".join(json.loads((path / "dataset_dict.json").read_text())["splits"])
        raise SourceError("path", f"{path} holds several splits ({splits}); name one of them, e.g. {path}/train")
    if (path / "state.json").is_file():
        state = json.loads((path / "state.json").read_text())
        return [path / f["filename"] for f in state["_data_files"]]
    if files := sorted(path.glob("*.parquet")):
        return files
    raise SourceError("path", f"{path} is a folder without prompts; they are read from {READABLE}, or *.parquet in one")


@lru_cache(maxsize=8)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    total = hashlib.sha256()
    for name, _, size in files:
        total.update(f"{Path(name).suffix} {size}\0".encode())
        with Path(name).open("rb") as f:
            total.update(hashlib.file_digest(f, "sha256").digest())
    return total.hexdigest()


class Lines:
    """A text file with one prompt per line, or a file of JSON lines. Blank lines do not count."""

    def __init__(self, files: tuple[Path, ...], column: str) -> None:
        self.file, self.column = files[0], column if files[0].suffix == ".jsonl" else ""
        self.marks, self.length, offset = array("Q"), 0, 0
        with self.file.open("rb") as f:
            for line in f:
                if line.strip():
                    if self.length % STRIDE == 0:
                        self.marks.append(offset)
                    self.length += 1
                offset += len(line)
        if self.column and self.length:
            self._check_column()

    def __len__(self) -> int:
        return self.length

    def read(self, start: int, stop: int) -> list[str | ValueError]:
        """Prompts `start` … `stop` - 1, fewer at the end of the list."""
        return [self._prompt(line) for line in self._lines(start, min(stop, self.length))]

    def _lines(self, start: int, stop: int) -> Iterator[bytes]:
        if start >= stop:
            return
        with self.file.open("rb") as f:
            f.seek(self.marks[start // STRIDE])
            yield from islice((line for line in f if line.strip()), start % STRIDE, start % STRIDE + stop - start)

    def _prompt(self, line: bytes) -> str | ValueError:
        try:
            text = line.decode("utf-8").strip().removeprefix("\ufeff")
            if self.column:
                text = json.loads(text)[self.column]
        except (ValueError, TypeError, KeyError) as e:
            return ValueError(f"no JSON object with {self.column!r}: {e!r}" if self.column else str(e))
        return _checked(text)

    def _check_column(self) -> None:
        """If the first line lacks the column, the recipe is wrong. If a later line lacks it, only that row is bad."""
        try:
            first = json.loads(next(self._lines(0, 1)))
        except ValueError as e:
            raise SourceError("path", f"{self.file}, line 1: not JSON: {e}") from None
        if not isinstance(first, dict):
            raise SourceError("path", f"{self.file}, line 1: not a JSON object, but a {type(first).__name__}")
        _check_column(self.file, self.column, first)


class ParquetColumn:
    """A column of one or more Parquet files; one row group is in memory at a time."""

    def __init__(self, files: tuple[Path, ...], column: str) -> None:
        self.column, self.groups, self.starts, self.length = column, [], array("Q"), 0
        for file in files:
            parquet = pq.ParquetFile(file)
            _check_text(file, column, parquet.schema_arrow)
            for group in range(parquet.metadata.num_row_groups):
                self.groups.append((file, group))
                self.starts.append(self.length)
                self.length += parquet.metadata.row_group(group).num_rows
        self.held: tuple[int, pa.ChunkedArray | None] = (-1, None)

    def __len__(self) -> int:
        return self.length

    def read(self, start: int, stop: int) -> list[str | ValueError]:
        """Prompts `start` … `stop` - 1, fewer at the end of the list."""
        found: list[str | ValueError] = []
        while start < min(stop, self.length):
            number = bisect_right(self.starts, start) - 1
            first = self.starts[number]
            part = self._group(number).slice(start - first, stop - start)
            found += map(_checked, part.to_pylist())
            start += len(part)
        return found

    def _group(self, number: int) -> pa.ChunkedArray:
        if self.held[0] != number:
            file, group = self.groups[number]
            self.held = number, pq.ParquetFile(file).read_row_group(group, columns=[self.column])[self.column]
        assert self.held[1] is not None
        return self.held[1]


class ArrowColumn:
    """A column of Arrow stream files, as `datasets` saves them, read through a memory map."""

    def __init__(self, files: tuple[Path, ...], column: str) -> None:
        batches: list[pa.Array] = []
        for file in files:
            stream = pa.ipc.open_stream(pa.memory_map(str(file)))
            _check_text(file, column, stream.schema)
            batches += [batch.column(column) for batch in stream]
        self.prompts = pa.chunked_array(batches, pa.string() if not batches else None)

    def __len__(self) -> int:
        return len(self.prompts)

    def read(self, start: int, stop: int) -> list[str | ValueError]:
        """Prompts `start` … `stop` - 1, fewer at the end of the list."""
        return [_checked(p) for p in self.prompts[start:stop].to_pylist()]


def _check_text(file: Path, column: str, schema: pa.Schema) -> None:
    _check_column(file, column, schema.names)
    kind = schema.field(column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise SourceError("column", f"{file}: the column {column!r} holds {kind}, not text")


def _check_column(file: Path, column: str, names: Iterable[str]) -> None:
    if column not in names:
        raise SourceError("column", f"{file} has no column {column!r}; there are {', '.join(names)}")


def _checked(text: object) -> str | ValueError:
    if not isinstance(text, str):
        return ValueError(f"the prompt is no text: {text!r}")
    return " ".join(text.split()) or ValueError("the prompt is blank")
