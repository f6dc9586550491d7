"""Verifies a published corpus: reads all of it and says everything that is wrong. It changes nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from underpaint.pipeline.corpus.index import INDEX_VERSION, SUMS, CellCount, Index, cell_counts, file_sha256, totals_of
from underpaint.pipeline.corpus.shard import shard_path
from underpaint.pipeline.corpus.verify_files import card_problems, croissant_problems, manifest_problems, wids_problems
from underpaint.pipeline.corpus.verify_shard import CorpusProblem, ShardFindings, check_shard
from underpaint.schemas.corpus.croissant import CROISSANT, MANIFEST
from underpaint.schemas.corpus.fields import json_schema
from underpaint.schemas.corpus.sample import SCHEMA
from underpaint.schemas.corpus.subsets import ABBREVIATION, SUBSETS

__all__ = ["CorpusProblem", "Verification", "verify"]
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_SHARD = re.compile(rf"({'|'.join(SUBSETS)})/({ABBREVIATION})-(train|validation)-(\d{{6}})\.tar")


@dataclass
class Verification:
    """What was found. `counts` has shards, samples, pictures and bytes; `totals` is as in index.json.

    At most `limit` problems are kept; `cut` is true if there were more.
    """

    limit: int
    problems: list[CorpusProblem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    totals: dict[str, dict[str, int]] = field(default_factory=dict)
    cut: bool = False

    def say(self, file: str, name: str, message: str, key: str = "") -> None:
        """Add a problem with a file, or with the field `name` of the sample `key` in it."""
        self.add([CorpusProblem(file, key, name, message)])

    def add(self, problems: list[CorpusProblem]) -> None:
        """Add problems, up to the limit."""
        room = self.limit - len(self.problems)
        self.problems += problems[:room]
        self.cut = self.cut or len(problems) > room


def verify(folder: Path, workers: int = 1, limit: int = 1000) -> Verification:
    """Check digests, names, members, samples, pictures and counts of a corpus, and every file about the shards.

    Memory holds the texts of one shard per worker, and the ids and groups of all samples. Raises FileNotFoundError
    where there is no folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder; give the corpus that `underpaint build` wrote")
    out = Verification(limit)
    index = _read_index(folder, out)
    sums = _read_sums(folder, out)
    schema = _read_schema(folder, out)
    paths = _check_names(folder, index, out)
    _check_sums(folder, sums, paths, out)
    check = partial(check_shard, folder, schema=schema, limit=limit)
    cells: Counter[tuple[str, str, str, str]] = Counter()
    seen: set[str] = set()
    counts: Counter[str] = Counter(dict.fromkeys(("shards", "samples", "pictures", "bytes"), 0))
    shards: list[ShardFindings] = []
    for found in _each(check, paths, workers):
        out.add(found.problems)
        _check_shard_entry(found, index, sums, out)
        for key in found.keys:
            if key in seen:
                out.say(found.path, "id", "occurs in an earlier shard too; ids are unique in the corpus", key)
            seen.add(key)
        cells += found.cells
        shards.append(found)
        counts.update(shards=1, samples=len(found.keys), pictures=found.pictures, bytes=found.bytes)
    measured = cell_counts(cells)
    out.counts, out.totals = dict(counts), totals_of(measured)
    if index is not None:
        _check_totals(index, measured, out)
    out.add(list(manifest_problems(folder, counts["samples"])))
    for problems in (wids_problems, croissant_problems, card_problems):
        out.add(list(problems(folder, shards)))
    return out


def _each(check: partial[ShardFindings], paths: list[str], workers: int) -> Iterator[ShardFindings]:
    if workers == 1 or len(paths) < 2:
        yield from map(check, paths)
        return
    with ProcessPoolExecutor(min(workers, len(paths)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(check, paths)


def _read(folder: Path, name: str, out: Verification) -> str | None:
    try:
        return (folder / name).read_text("utf-8")
    except FileNotFoundError:
        out.say(name, "", "is missing")
    except (OSError, UnicodeDecodeError) as e:
        out.say(name, "", f"does not read: {e}")
    return None


def _read_index(folder: Path, out: Verification) -> Index | None:
    text = _read(folder, "index.json", out)
    if text is None:
        return None
    try:
        index = Index.model_validate_json(text)
    except ValidationError as e:
        fault = e.errors(include_url=False)[0]
        out.say("index.json", ".".join(map(str, fault["loc"])), fault["msg"])
        return None
    if index.version != INDEX_VERSION:
        out.say("index.json", "version", f"is {index.version!r}, this program reads {INDEX_VERSION!r}")
    if index.sample_schema != SCHEMA:
        out.say("index.json", "sample_schema", f"is {index.sample_schema!r}, this program reads {SCHEMA!r}")
    return index


def _read_sums(folder: Path, out: Verification) -> dict[str, str]:
    sums: dict[str, str] = {}
    for number, line in enumerate((_read(folder, SUMS, out) or "").splitlines(), 1):
        match = _SUM.fullmatch(line)
        if match is None:
            out.say(SUMS, f"line {number}", "is not '<64 hex digits>  <file>'")
        elif match[2].startswith("/") or ".." in PurePosixPath(match[2]).parts:
            out.say(SUMS, f"line {number}", f"{match[2]!r} is outside of the corpus")
        elif match[2] in sums:
            out.say(SUMS, f"line {number}", f"{match[2]!r} is listed twice")
        else:
            sums[match[2]] = match[1]
    return sums


def _read_schema(folder: Path, out: Verification) -> dict[str, Any]:
    """This program's schema. Adds a problem where the corpus has another one."""
    ours = json_schema()
    text = _read(folder, "SCHEMA.json", out)
    try:
        if text is not None and json.loads(text) != ours:
            out.say("SCHEMA.json", "", "differs from this program's schema; verify with the version that wrote it")
    except json.JSONDecodeError as e:
        out.say("SCHEMA.json", "", f"is no JSON: {e}")
    return ours


def _check_names(folder: Path, index: Index | None, out: Verification) -> list[str]:
    """The paths of all shards, in order. Adds problems for wrong names, gaps, and differences from the index."""
    paths: list[str] = []
    numbers: dict[tuple[str, str], list[int]] = {}
    for file in sorted(folder.glob("*/*.tar*")):
        path = file.relative_to(folder).as_posix()
        match = _SHARD.fullmatch(path)
        if match and SUBSETS[match[1]].abbreviation == match[2]:
            paths.append(path)
            numbers.setdefault((match[1], match[3]), []).append(int(match[4]))
        elif file.suffix in (".part", ".tmp"):
            out.say(path, "", "is left from an interrupted run")
        elif file.suffix == ".tar":
            out.say(path, "", "is not named <subset>/<abbreviation>-<split>-<6 digits>.tar")
    for (subset, split), found in numbers.items():
        if gaps := set(range(max(found) + 1)) - set(found):
            out.say(shard_path(subset, split, min(gaps)), "", "is missing: shards are numbered without gaps")
    if not paths:
        out.say("", "shards", "there are none")
    listed = [entry.path for entry in index.shards] if index else paths
    for path in sorted(set(listed) - set(paths)):
        out.say(path, "", "is listed in index.json, but there is no such file")
    for path in sorted(set(paths) - set(listed)):
        out.say(path, "", "is not listed in index.json")
    return paths


def _check_sums(folder: Path, sums: dict[str, str], paths: list[str], out: Verification) -> None:
    """Check SHA256SUMS and the digests of all files but the shards, whose digests are computed when they are read."""
    wids = {path.rpartition("-")[0] + ".wids.json" for path in paths}
    expected = {*paths, *wids, "index.json", MANIFEST, "SCHEMA.json", CROISSANT}
    for name in sorted(expected - sums.keys()):
        out.say(SUMS, name, "is not listed")
    for name, digest in sorted(sums.items()):
        if name in paths:
            continue
        if not (folder / name).is_file():
            out.say(name, "", f"is listed in {SUMS}, but there is no such file")
        elif (actual := file_sha256(folder / name)) != digest:
            out.say(name, "sha256", f"is {digest} in {SUMS}, the file's is {actual}")


def _check_shard_entry(found: ShardFindings, index: Index | None, sums: dict[str, str], out: Verification) -> None:
    if found.path in sums and sums[found.path] != found.sha256:
        out.say(found.path, "sha256", f"is {sums[found.path]} in {SUMS}, the file's is {found.sha256}")
    actual = {"samples": len(found.keys), "pictures": found.pictures, "bytes": found.bytes, "sha256": found.sha256}
    for i, entry in enumerate(index.shards if index else ()):
        for name, value in actual.items():
            if entry.path == found.path and (stated := getattr(entry, name)) != value:
                out.say("index.json", f"shards.{i}.{name}", f"is {stated}, {found.path} has {value}")


def _check_totals(index: Index, cells: list[CellCount], out: Verification) -> None:
    if index.cells != cells:
        wrong = [c for c in index.cells if c not in cells] or [c for c in cells if c not in index.cells]
        out.say("index.json", "cells", f"differ from the shards, e.g. {wrong[0] if wrong else 'in their order'}")
    expected: dict[str, Any] = {
        "samples": sum(entry.samples for entry in index.shards),
        "pictures": sum(entry.pictures for entry in index.shards),
        "totals": totals_of(index.cells),
    }
    for name, value in expected.items():
        if (stated := getattr(index, name)) != value:
            out.say("index.json", name, f"is {stated}, its own parts give {value}")
