"""Reads files of prompts, the user's own and benchmarks' alike, as rows of named columns.

Row *i* is the *i*-th of the list, always. Rows are read a slice at a time (text from remembered offsets, Parquet by row
group, Arrow through a memory map), so a list may be larger than memory; only a `.json` file is held as a whole.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

READABLE = (
    ".txt, .jsonl, .ndjson, .json, .tsv, .csv, .parquet, .arrow, or a folder that datasets.Dataset.save_to_disk wrote"
)
PROMPT = "prompt"  # the column of formats that have no names: plain text, and JSON strings
COLUMNS = (PROMPT, "prompts", "caption", "captions")  # where prompts stand, in any case, where no column is named
STRIDE = 1024  # a text file's reader remembers the offset of every STRIDE-th row


class SourceError(ValueError):
    """A list that cannot be read. `field` is the parameter that is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Row:
    """A row's number in its file, from 1, and its cells by column, or why it cannot be read."""

    number: int
    cells: Mapping[str, Any] | ValueError


class Rows(Protocol):
    """A list that is read a slice at a time."""

    unit: str  # what the rows' numbers count: "line", "entry" or "row"
    names: Sequence[str]  # the columns; of JSON those of the first row

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int, columns: Sequence[str]) -> list[Row]:
        """Rows `start` … `stop` - 1, fewer at the end of the list, with these columns at least, where they have them.

        A value that cannot be decoded stands in its cell as the exception that says why.
        """


def open_rows(files: tuple[Path, ...]) -> Rows:
    """Open a list of `list_files`. Raises SourceError where it is empty or not what its name says."""
    try:
        rows = READERS[files[0].suffix.lower()](files)
    except (OSError, pa.ArrowException) as e:
        raise SourceError("path", f"{files[0]} cannot be read: {e}") from None
    if not len(rows):
        raise SourceError("path", f"{files[0]} holds no prompt")
    return rows


def list_files(path: Path) -> list[Path]:
    """The files of a list, in order, all of one kind. Raises SourceError."""
    if not path.exists():
        raise SourceError("path", f"{path} does not exist")
    if path.is_file():
        if path.suffix.lower() not in READERS:
            raise SourceError("path", f"{path}: prompts are read from {READABLE}; convert it to one of them")
        return [path]
    if (path / "dataset_dict.json").is_file():
        names = _state(path / "dataset_dict.json", "splits")
        raise SourceError(
            "path", f"{path} holds several splits ({', '.join(names)}); name one of them, e.g. {path}/train"
        )
    if (path / "state.json").is_file():
        shards = [path / name for name in _state(path / "state.json", "_data_files")]
        if not shards:
            raise SourceError("path", f"{path} holds no prompt: the dataset was empty when it was saved")
        if missing := next((s for s in shards if not s.is_file()), None):
            raise SourceError("path", f"{path} is not complete: it lacks {missing.name}; copy or save it again")
        return shards
    if files := sorted(f for f in path.iterdir() if f.suffix.lower() == ".parquet"):
        return files
    raise SourceError("path", f"{path} is a folder without prompts; they are read from {READABLE}, or *.parquet in one")


def _state(file: Path, key: str) -> list[str]:
    """The names that `datasets` keeps of splits or shards. Raises SourceError where the file is not of `datasets`."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))[key]
        return [one if isinstance(one, str) else one["filename"] for one in found]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        why = f"{file} is not what datasets.save_to_disk writes (no {key!r}); name a folder that it wrote, completely"
        raise SourceError("path", why) from None


def files_digest(files: Iterable[Path]) -> str:
    """SHA-256 of the content of files and of their format; their names do not count."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.suffix.lower()} {file.stat().st_size}\0".encode())
        with file.open("rb") as f:
            while block := f.read(1 << 20):
                total.update(block)
    return total.hexdigest()


class TextRows:
    """Lines of text, JSON lines, or a table under a header. Blank rows do not count; only "\\n" ends a line.

    A cell of a CSV may hold line ends, inside quotation marks; of a TSV it may not. In a TSV quotation marks that do
    not enclose a whole cell are part of it (PartiPrompts).
    """

    unit = "line"

    def __init__(self, files: tuple[Path, ...]) -> None:
        self.file, self.suffix = files[0], files[0].suffix.lower()
        self.names: Sequence[str] = (PROMPT,)
        self.marks, self.lines, self.length = array("Q"), array("Q"), 0
        looks = _Looks()
        with self.file.open("rb") as f:
            if f.read(2) in (b"\xff\xfe", b"\xfe\xff"):
                raise SourceError("path", f"{self.file} is UTF-16; save it as UTF-8")
            f.seek(0)
            records = self._records(f, 0, 1)
            if self.suffix in TABLES and (header := next(records, None)):
                self.names = self._header(header[2])
            for offset, line, record in records:
                if self.length % STRIDE == 0:
                    self.marks.append(offset)
                    self.lines.append(line)
                self.length += 1
                if self.suffix == ".txt":
                    looks.see(record)
        if what := looks.told():
            raise SourceError("path", f"{self.file} {what}")
        if self.suffix in (".jsonl", ".ndjson") and self.length:
            self.names = self._first_keys()

    def __len__(self) -> int:
        return self.length

    def read(self, start: int, stop: int, columns: Sequence[str]) -> list[Row]:
        """Rows `start` … `stop` - 1, fewer at the end of the list."""
        if start >= min(stop, self.length):
            return []
        with self.file.open("rb") as f:
            offset, line = self.marks[start // STRIDE], self.lines[start // STRIDE]
            f.seek(offset)
            skipped = start % STRIDE
            return [
                Row(line, self._cells(record))
                for _, line, record in islice(self._records(f, offset, line), skipped, skipped + stop - start)
            ]

    def _records(self, f: BinaryIO, offset: int, line: int) -> Iterator[tuple[int, int, Any]]:
        """(offset, number of its first line, record) from where `f` stands: a CSV's cells, else the text of a line."""
        at = [offset, line]

        def lines() -> Iterator[str]:
            for raw in f:
                at[0], at[1] = at[0] + len(raw), at[1] + 1
                # A byte that is no UTF-8 becomes half a surrogate pair, for which its row alone is refused later.
                yield raw.decode("utf-8", "surrogateescape").replace("\ufeff", "")

        texts = lines()
        records: Iterator[Any] = csv.reader(texts, strict=True) if self.suffix == ".csv" else texts
        while True:
            offset, line = at
            try:
                record = next(records, None)
            except csv.Error as e:
                why = f"no valid CSV: {e}; is a quotation mark not closed, or not written twice inside a cell?"
                raise SourceError("path", f"{self.file}, line {line}: {why}") from None
            if record is None:
                return
            if isinstance(record, str):
                record = record.rstrip("\r\n")
                if "\r" in record:
                    why = "a carriage return ends no line; save the file with line ends of Unix or Windows"
                    raise SourceError("path", f"{self.file}, line {line}: {why}")
            if any(map(str.strip, record)):
                yield offset, line, record

    def _cells(self, record: Any) -> Mapping[str, Any] | ValueError:
        try:
            if self.suffix == ".txt":
                return {PROMPT: record}
            if self.suffix not in TABLES:
                return _named(load_json(record))
            cells = _tsv_cells(record) if self.suffix == ".tsv" else record
        except ValueError as e:
            return e
        if len(cells) != len(self.names):
            return ValueError(f"has {len(cells)} cells, the header has {len(self.names)}")
        return dict(zip(self.names, cells, strict=True))

    def _header(self, record: Any) -> Sequence[str]:
        names = [name.strip() for name in (_tsv_cells(record) if self.suffix == ".tsv" else record)]
        if twice := next((name for name in names if name and names.count(name) > 1), None):
            raise SourceError("path", f"{self.file}: its first line names the column {twice!r} twice")
        return names

    def _first_keys(self) -> Sequence[str]:
        """If the first line is no JSON, the recipe names the wrong file. If a later line is none, only it is bad."""
        first = self.read(0, 1, ())[0]
        if isinstance(first.cells, ValueError):
            raise SourceError("path", f"{self.file}, line {first.number}: {first.cells}")
        return tuple(first.cells)


class _Looks:
    """Whether the lines of a text file look like a table or like JSON, of which a line is no prompt."""

    def __init__(self) -> None:
        self.first, self.lines, self.tabs, self.objects = "", 0, 0, 0

    def see(self, line: str) -> None:
        self.first = self.first or line.strip()
        self.lines += 1
        self.tabs += "\t" in line.strip()
        self.objects += line.strip()[0] + line.strip()[-1] == "{}"

    def told(self) -> str:
        """What the file looks like and what to do; "" for prompts."""
        if self.first in ("[", "{") or self.first.startswith(("[{", '["')):
            return "looks like JSON, not like one prompt a line; name it .json, or .jsonl where each line is an object"
        if self.lines and self.objects * 2 > self.lines:
            return "looks like JSON lines, not like one prompt a line; name it .jsonl"
        cells = [cell.strip().strip('"') for cell in re.split(r"[\t,;]", self.first)]
        heads = any(cell.lower() in COLUMNS for cell in cells) and all(len(cell.split()) < 3 for cell in cells)
        if self.tabs * 2 > self.lines or heads:
            return "looks like a table, not like one prompt a line; name it .tsv (tabs) or .csv (commas)"
        return ""


def load_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError, also where it is nested too deeply to be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    except json.JSONDecodeError as e:
        where = f"line {e.lineno} column {e.colno}" if e.lineno > 1 else f"column {e.colno}"
        raise ValueError(f"no valid JSON: {e.msg} at {where}") from None


def _named(value: Any) -> Mapping[str, Any]:
    """A JSON value as a row: an object as it is, a string as the prompt. Raises ValueError for any other."""
    if isinstance(value, str):
        return {PROMPT: value}
    if isinstance(value, dict):
        return value
    raise ValueError(f"not a JSON object or string, but a {type(value).__name__}")


def _tsv_cells(line: str) -> list[str]:
    """The cells of a line: quoted as in a CSV if the whole line follows its rules, else with quotation marks as text.

    Raises ValueError where a quotation mark opens a cell that no other closes: the cell may go on in the next line.
    """
    try:
        return next(csv.reader([line], delimiter="\t", strict=True))
    except csv.Error as e:
        if "end of data" in str(e):
            raise ValueError("a cell begins with a quotation mark that nothing closes in its line") from None
        return line.split("\t")


class JsonRows:
    """A JSON file: a list of objects or strings, or an object that holds these by name (WISE, many test suites)."""

    unit = "entry"

    def __init__(self, files: tuple[Path, ...]) -> None:
        file = files[0]
        try:
            whole = load_json(file.read_text(encoding="utf-8", errors="surrogateescape").replace("\ufeff", ""))
        except ValueError as e:
            hint = "; if each line is an object, name it .jsonl" if "Extra data" in str(e) else ""
            raise SourceError("path", f"{file}: {e}{hint}") from None
        if isinstance(whole, dict) and not any(key.lower() in COLUMNS for key in whole):
            whole = list(whole.values())
        self.entries = whole if isinstance(whole, list) else [whole]
        for number, entry in enumerate(self.entries, 1):
            if not isinstance(entry, (str, dict)) or type(entry) is not type(self.entries[0]):
                why = f"is a {type(entry).__name__}; give objects, or strings, all alike"
                raise SourceError("path", f"{file}: entry {number} {why}")
        self.names: Sequence[str] = tuple(_named(self.entries[0])) if self.entries else ()

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, start: int, stop: int, columns: Sequence[str]) -> list[Row]:
        """Rows `start` … `stop` - 1, fewer at the end of the list."""
        return [Row(number, _named(entry)) for number, entry in enumerate(self.entries[start:stop], start + 1)]


class ParquetRows:
    """One or more Parquet files; one row group, of the columns that are asked for, is in memory at a time."""

    unit = "row"

    def __init__(self, files: tuple[Path, ...]) -> None:
        self.groups: list[tuple[Path, int]] = []
        self.starts, self.length, names = array("Q"), 0, []
        for file in files:
            parquet = pq.ParquetFile(file)
            names.append(parquet.schema_arrow.names)
            for group in range(parquet.metadata.num_row_groups):
                self.groups.append((file, group))
                self.starts.append(self.length)
                self.length += parquet.metadata.row_group(group).num_rows
        self.names: Sequence[str] = [name for name in names[0] if all(name in others for others in names)]
        self.held: tuple[Any, pa.Table | None] = (None, None)

    def __len__(self) -> int:
        return self.length

    def read(self, start: int, stop: int, columns: Sequence[str]) -> list[Row]:
        """Rows `start` … `stop` - 1, fewer at the end of the list."""
        found: list[Row] = []
        while start < min(stop, self.length):
            number = bisect_right(self.starts, start) - 1
            part = self._group(number, tuple(columns)).slice(start - self.starts[number], stop - start)
            found += _table_rows(part, start)
            start += len(part)
        return found

    def _group(self, number: int, columns: tuple[str, ...]) -> pa.Table:
        if self.held[0] != (number, columns):
            file, group = self.groups[number]
            self.held = (number, columns), pq.ParquetFile(file).read_row_group(group, columns=[*columns])
        assert self.held[1] is not None
        return self.held[1]


class ArrowRows:
    """Arrow stream files, as `datasets` saves them, read through a memory map."""

    unit = "row"

    def __init__(self, files: tuple[Path, ...]) -> None:
        self.table = pa.concat_tables([pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in files])
        self.names: Sequence[str] = self.table.column_names

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def read(self, start: int, stop: int, columns: Sequence[str]) -> list[Row]:
        """Rows `start` … `stop` - 1, fewer at the end of the list."""
        return _table_rows(self.table.select([*columns]).slice(start, stop - start), start)


def _table_rows(part: pa.Table, start: int) -> list[Row]:
    values = [_values(column) for column in part.columns]
    cells = [dict(zip(part.column_names, row, strict=True)) for row in zip(*values, strict=True)]
    return [Row(number, row) for number, row in enumerate(cells, start + 1)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:  # one value that is no UTF-8, which Arrow does not check
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError as e:
        return e


TABLES = (".tsv", ".csv")
READERS: dict[str, Callable[[tuple[Path, ...]], Rows]] = {
    **dict.fromkeys((".txt", ".jsonl", ".ndjson", *TABLES), TextRows),
    ".json": JsonRows, ".parquet": ParquetRows, ".arrow": ArrowRows,
}  # fmt: skip
