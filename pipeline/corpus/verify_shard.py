"""Verifies one shard: reads it and says what is wrong, with the pictures of one sample in memory at a time."""

from __future__ import annotations

import hashlib
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq

from underpaint.pipeline.corpus.shard import MANIFEST_SCHEMA, member_bytes, shard_path
from underpaint.schemas.corpus.croissant import MANIFEST
from underpaint.schemas.corpus.picture import PictureError, decode_picture, probe_picture
from underpaint.schemas.corpus.sample import Sample, SampleError
from underpaint.schemas.corpus.webdataset import decode, load_json, split_member

MAX_MEMBER = 256 * 2**20  # bytes; pictures and JSON of ours are far smaller
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class CorpusProblem:
    """One problem: the file in the corpus, the sample's key and the field; "" for what does not apply."""

    file: str
    key: str
    field: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key, self.field, self.message) if part)


@dataclass
class ShardFindings:
    """What was found in a shard. `cells` counts samples by (subset, split, polarity, category)."""

    path: str
    limit: int  # at most so many problems are kept
    bytes: int = 0
    sha256: str = ""
    md5: str = ""
    pictures: int = 0
    suffixes: set[str] = field(default_factory=set)  # of its pictures, e.g. "webp"
    keys: list[str] = field(default_factory=list)
    cells: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    problems: list[CorpusProblem] = field(default_factory=list)

    def say(self, key: str, name: str, message: str) -> None:
        """Add a problem with the field `name` of the sample `key`, up to the limit."""
        if len(self.problems) < self.limit:
            self.problems.append(CorpusProblem(self.path, key, name, message))


def check_shard(folder: Path, path: str, schema: Mapping[str, Any], limit: int) -> ShardFindings:
    """Check the shard `folder`/`path`, also against its rows of the manifest.

    `schema` is the JSON Schema of the samples; at most `limit` problems are kept.
    """
    found = ShardFindings(path, limit)
    file = folder / path
    found.bytes = file.stat().st_size
    found.sha256, found.md5 = _digests(file)
    validator = jsonschema.Draft202012Validator(dict(schema))
    samples: dict[str, dict[str, Any]] = {}
    for key, members in _samples(file, found):
        if key in samples:
            found.say(key, "id", "occurs twice in this shard, or its members are not adjacent")
            continue
        samples[key] = {}
        sample = _check_sample(key, members, validator, found)
        if sample is not None:
            samples[key] = sample.to_dict()
            found.suffixes.update(p.name.rpartition(".")[2] for p in sample.images)
            found.pictures += sample.n_images
            found.cells[sample.subset, sample.split, sample.polarity, sample.category] += 1
    found.keys = list(samples)
    if not samples:
        found.say("", "samples", "the shard has none; empty shards stop training runs")
    found.problems += _row_problems(folder, path, samples)
    del found.problems[limit:]
    return found


def _digests(file: Path) -> tuple[str, str]:
    """SHA-256 and MD5 of a file; wids needs the MD5."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with file.open("rb") as f:
        while chunk := f.read(2**20):
            sha256.update(chunk)
            md5.update(chunk)
    return sha256.hexdigest(), md5.hexdigest()


def _samples(file: Path, found: ShardFindings) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(key, members by name) of each run of members with one key. Damage adds a problem and ends the reading."""
    key, end = "", 0
    members: dict[str, bytes] = {}
    try:
        with tarfile.open(file, "r:") as tar:
            for info in tar:
                end = info.offset_data + -(-info.size // _BLOCK) * _BLOCK
                if fault := _member_fault(info):
                    found.say(info.name.partition(".")[0], "member", fault)
                    continue
                if (now := info.name.partition(".")[0]) != key:
                    if members:
                        yield key, members
                    key, members = now, {}
                if info.name in members:
                    found.say(key, "member", f"{info.name!r} occurs twice")
                members[info.name] = member_bytes(tar, info)
        if fault := _tail_fault(file, end):
            found.say(key, "tar", fault)
    except (tarfile.TarError, OSError, EOFError) as e:
        found.say(key, "tar", f"is damaged or truncated after this sample: {e}")
        return
    if members:
        yield key, members


def _member_fault(info: tarfile.TarInfo) -> str:
    try:
        split_member(info.name)
    except SampleError as e:
        return e.message
    if not info.isfile():
        return f"{info.name!r} is no regular file"
    if info.size > MAX_MEMBER:
        return f"{info.name!r} has {info.size} bytes, at most {MAX_MEMBER} are read"
    return ""


def _tail_fault(file: Path, end: int) -> str:
    """What is wrong after the last member, where a whole tar has two or more blocks of zeros; "" if nothing."""
    with file.open("rb") as f:
        f.seek(end)
        size = 0
        while chunk := f.read(2**20):
            size += len(chunk)
            if chunk.strip(b"\0"):
                return "is damaged: what follows this sample is no member"
    return "" if size >= 2 * _BLOCK else "is truncated: the end of the archive is missing after this sample"


def _check_sample(key: str, members: dict[str, bytes], validator: Any, found: ShardFindings) -> Sample | None:
    """The sample, or None where it cannot be decoded. Adds problems to `found`."""
    order = sorted(members, key=lambda name: (name.endswith(".json"), name))
    if list(members) != order:
        found.say(key, "member", f"members stand as {list(members)}; write pictures in order, the JSON last")
    try:
        sample, pictures = decode(members)
        fields = load_json(key, members[f"{key}.json"])
    except SampleError as e:
        found.say(key, e.field, e.message)
        return None
    for error in validator.iter_errors(fields):
        found.say(key, ".".join(map(str, error.absolute_path)), f"JSON Schema: {error.message[:200]}")
    if (subset := PurePosixPath(found.path).parts[0]) != sample.subset:
        found.say(key, "subset", f"is {sample.subset!r} in a shard of {subset!r}")
    if not found.path.startswith(shard_path(sample.subset, sample.split, 0).removesuffix("000000.tar")):
        found.say(key, "split", f"is {sample.split!r} in {found.path}")
    for i, (picture, data) in enumerate(zip(sample.images, pictures, strict=True)):
        try:
            facts, image = probe_picture(data), decode_picture(data)
        except PictureError as e:
            found.say(key, f"images.{i}", str(e))
            continue
        if image.size != (picture.width, picture.height):
            stated = f"{picture.width}x{picture.height}"
            found.say(key, f"images.{i}.width", f"says {stated}, the picture is {image.width}x{image.height}")
        if facts.encoding != picture.encoding:
            actual = facts.encoding or "something else"
            found.say(key, f"images.{i}.encoding", f"says {picture.encoding}, the member is {actual}")
    return sample


def _row_problems(folder: Path, path: str, samples: Mapping[str, Mapping[str, Any]]) -> Iterator[CorpusProblem]:
    """Compare the manifest's rows of one shard with its samples (by key): the same rows, positions and fields."""
    try:
        rows = pq.read_table(folder / MANIFEST, schema=MANIFEST_SCHEMA, filters=[("shard", "=", path)]).to_pylist()
    except (OSError, pa.ArrowException, KeyError):
        return  # `pipeline.corpus.verify_files.manifest_problems` says so
    listed = {row["id"] for row in rows}
    for key in samples:
        if key not in listed:
            yield CorpusProblem(MANIFEST, key, "id", f"is not listed, but is in {path}")
    for position, row in enumerate(rows):
        key = row["id"]
        if key not in samples:
            yield CorpusProblem(MANIFEST, key, "id", f"is listed, but is not in {path}")
        elif fields := samples[key]:  # empty where the sample breaks the format, which is a problem already
            wanted = {"shard": path, "position": position, **fields}
            for name in MANIFEST_SCHEMA.names:
                if row[name] != wanted[name]:
                    message = f"is {str(row[name])[:80]!r}, in {path} it is {str(wanted[name])[:80]!r}"
                    yield CorpusProblem(MANIFEST, key, name, message)
                    break
