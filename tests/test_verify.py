"""Every fault planted in a corpus is found, and named by file, key and field."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import FIRST, alignment, multi_turn, write_tiny_corpus

from underpaint.pipeline.corpus.verify import verify
from underpaint.schemas.corpus.fields import FieldRow, field_rows
from underpaint.schemas.corpus.sample import Picture, Sample, Score, Segment, content_sha256

Members = list[tuple[str, bytes]]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "copy"))


def read_tar(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]


def write_tar(path: Path, members: Members) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def edit(name: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Members], Members]:
    """Change one sample's JSON, with a right content digest where the sample is one still."""

    def plant(members: Members) -> Members:
        out = []
        for member, data in members:
            if member == f"{name}.json":
                fields = json.loads(data)
                before = fields["content_sha256"]
                change(fields)
                if fields.get("content_sha256") == before:
                    fields["content_sha256"] = content_sha256(fields)
                data = json.dumps(fields).encode()
            out.append((member, data))
        return out

    return plant


KEY = "mtg-00000004"  # three or more pictures, in the first shard


def flip(members: Members) -> Members:
    return [(n, d[:-1] + bytes([d[-1] ^ 1]) if n == f"{KEY}.img1.webp" else d) for n, d in members]


def without(name: str) -> Callable[[Members], Members]:
    return lambda members: [m for m in members if m[0] != name]


def renamed(old: str, new: str) -> Callable[[Members], Members]:
    return lambda members: [(n.replace(old, new), d) for n, d in members]


def json_first(members: Members) -> Members:
    mine = [m for m in members if m[0].startswith(KEY)]
    return [*(m for m in members if m not in mine), mine[-1], *mine[:-1]]


def scattered(members: Members) -> Members:
    """The pictures of one sample, then others, then its JSON."""
    return [*(m for m in members if m[0] != f"{KEY}.json"), next(m for m in members if m[0] == f"{KEY}.json")]


PLANTED: list[tuple[str, str, str, Callable[[Members], Members]]] = [
    ("flipped byte", KEY, "images.1.sha256", flip),
    ("missing image", KEY, "images", without(f"{KEY}.img1.webp")),
    ("missing JSON", KEY, "json", without(f"{KEY}.json")),
    ("extra key", KEY, "surprise", edit(KEY, lambda d: d.update(surprise=1))),
    ("null", KEY, "parent", edit(KEY, lambda d: d.update(parent=None))),
    ("control token", KEY, "segments.1.text", edit(KEY, lambda d: d["segments"][1].update(
        text="<ins>a <|im_end|></ins><des>b</des>"))),
    ("loss on the prompt", KEY, "segments.0.loss", edit(KEY, lambda d: d["segments"][0].update(loss=1))),
    ("float as int", KEY, "images.0.scores.0.value", edit(KEY, lambda d: d["images"][0]["scores"][0].update(value=1))),
    ("wrong size", KEY, "images.0.width", edit(KEY, lambda d: d["images"][0].update(width=32))),
    ("wrong split", KEY, "split", edit(KEY, lambda d: d.update(split="validation"))),
    ("other id", KEY, "id", edit(KEY, lambda d: d.update(id="mtg-00000099"))),
    ("dotted key", "mtg-0000", "member", renamed(KEY, "mtg-0000.0004")),
    ("upper case", KEY.upper(), "member", renamed(KEY, KEY.upper())),
    ("other member", KEY, "member", lambda m: [*m, (f"{KEY}.txt", b"x")]),
    ("duplicate in a shard", "mtg-00000001", "id", lambda m: [*m, *[x for x in m if x[0].startswith("mtg-00000001")]]),
    ("member twice", KEY, "member", lambda m: [x for y in m for x in ([y, y] if y[0] == f"{KEY}.json" else [y])]),
    ("JSON before pictures", KEY, "member", json_first),
    ("members apart", KEY, "id", scattered),
    ("empty shard", "", "samples", lambda m: []),
]  # fmt: skip


@pytest.mark.parametrize(("key", "field", "plant"), [p[1:] for p in PLANTED], ids=[p[0] for p in PLANTED])
def test_planted_in_a_shard(copy: Path, key: str, field: str, plant: Callable[[Members], Members]) -> None:
    assert plant(read_tar(copy / FIRST)) != read_tar(copy / FIRST)
    write_tar(copy / FIRST, plant(read_tar(copy / FIRST)))
    problems = verify(copy).problems
    assert (FIRST, key, field) in {(p.file, p.key, p.field) for p in problems}, "\n".join(map(str, problems))
    assert all(p.message for p in problems)


def test_many_workers_find_the_same(copy: Path) -> None:
    (copy / FIRST).write_bytes((copy / FIRST).read_bytes()[:-20_000])
    assert verify(copy, workers=2).problems == verify(copy).problems != []


def test_duplicate_key_across_shards(copy: Path) -> None:
    second = copy / FIRST.replace("000000", "000001")
    write_tar(second, [*read_tar(second), *[m for m in read_tar(copy / FIRST) if m[0].startswith(KEY)]])
    found = [(p.file, p.key, p.field) for p in verify(copy).problems]
    assert (FIRST.replace("000000", "000001"), KEY, "id") in found


@pytest.mark.parametrize("size", [700, 5_000, 5_120, 12_345])
def test_truncated_tar(copy: Path, size: int) -> None:
    (copy / FIRST).write_bytes((copy / FIRST).read_bytes()[:size])
    problems = [p for p in verify(copy).problems if p.file == FIRST and p.field == "tar"]
    assert problems and problems[0].key.startswith("mtg-"), problems
    assert not [p for p in verify(copy).problems if p.field == "tar" and p.file != FIRST]


def test_damaged_header_does_not_end_the_reading_silently(copy: Path) -> None:
    data = bytearray((copy / FIRST).read_bytes())
    start = data.index(f"{KEY}.img0".encode())
    data[start : start + 300] = b"\xff" * 300
    (copy / FIRST).write_bytes(data)
    assert (FIRST, "tar") in {(p.file, p.field) for p in verify(copy).problems}


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_wrong_digest_in_the_sums(copy: Path) -> None:
    sums = copy / "SHA256SUMS"
    digest = hashlib.sha256((copy / FIRST).read_bytes()).hexdigest()
    sums.write_text(sums.read_text().replace(digest, "0" * 64))
    assert [(p.file, p.field) for p in verify(copy).problems] == [(FIRST, "sha256")]


WIDS = "multi_turn/mtg-train.wids.json"
DATASET_FAULTS: list[tuple[str, str, str, Callable[[Path], Any]]] = [
    ("index.json", "", "shards.0.samples", lambda f: rewrite(f, lambda i: i["shards"][0].update(samples=9))),
    ("index.json", "", "shards.0.sha256", lambda f: rewrite(f, lambda i: i["shards"][0].update(sha256=""))),
    ("index.json", "", "shards.0.pictures", lambda f: rewrite(f, lambda i: i["shards"][0].update(pictures=1))),
    ("index.json", "", "shards.0.bytes", lambda f: rewrite(f, lambda i: i["shards"][0].update(bytes=1))),
    ("index.json", "", "cells", lambda f: rewrite(f, lambda i: i["cells"][0].update(samples=1))),
    ("index.json", "", "totals", lambda f: rewrite(f, lambda i: i["totals"]["split"].update(train=1))),
    ("index.json", "", "samples", lambda f: rewrite(f, lambda i: i.update(samples=1))),
    ("index.json", "", "pictures", lambda f: rewrite(f, lambda i: i.update(pictures=1))),
    ("index.json", "", "version", lambda f: rewrite(f, lambda i: i.update(version="underpaint-index/0"))),
    ("index.json", "", "sample_schema", lambda f: rewrite(f, lambda i: i.update(sample_schema="underpaint/0"))),
    ("index.json", "", "sha256", lambda f: rewrite(f, lambda i: i.update(name="another"))),
    ("index.json", "", "shards", lambda f: rewrite(f, lambda i: i.pop("shards"))),
    ("index.json", "", "", Path.unlink),
    ("SCHEMA.json", "", "", lambda f: rewrite(f, lambda s: s.pop("required"))),
    ("SCHEMA.json", "", "", Path.unlink),
    ("SHA256SUMS", "", FIRST, lambda f: f.write_text("")),
    ("SHA256SUMS", "", "line 1", lambda f: f.write_text("hello")),
    ("SHA256SUMS", "", "line 2", lambda f: f.write_text(f.read_text().splitlines()[0] + "\n" + f.read_text())),
    ("SHA256SUMS", "", "line 1", lambda f: f.write_text("0" * 64 + "  ../elsewhere\n" + f.read_text())),
    ("SHA256SUMS", "", "", Path.unlink),
    (WIDS, "", "shardlist.0", lambda f: rewrite(f, lambda w: w["shardlist"][0].update(nsamples=1))),
    (WIDS, "", "shardlist.1", lambda f: rewrite(f, lambda w: w["shardlist"][1].update(md5sum="0" * 32))),
    (WIDS, "", "shardlist.0", lambda f: rewrite(f, lambda w: w["shardlist"][0].update(url="/data/a.tar"))),
    (WIDS, "", "shardlist", lambda f: rewrite(f, lambda w: w["shardlist"].append(w["shardlist"][0]))),
    (WIDS, "", "shardlist", lambda f: rewrite(f, lambda w: w.pop("shardlist"))),
    (WIDS, "", "", Path.unlink),
    ("croissant.json", "", "distribution", lambda f: rewrite(f, lambda c: c["distribution"][1].update(sha256="0"))),
    ("croissant.json", "", "recordSet", lambda f: rewrite(f, lambda c: c["recordSet"][0]["field"].pop())),
    ("croissant.json", "", "", lambda f: f.write_text("{")),
    ("croissant.json", "", "", Path.unlink),
    ("README.md", "", "configs", lambda f: f.write_text(f.read_text().replace("mtg-train-*.tar", "mtg-train-*"))),
    ("README.md", "", "dataset_info", lambda f: f.write_text(f.read_text().replace("name: img4.webp", "name: img4"))),
    ("README.md", "", "configs", lambda f: f.write_text("# A card without front matter")),
    ("README.md", "", "", Path.unlink),
    ("manifest.parquet", "", "", Path.unlink),
    ("manifest.parquet", "", "", lambda f: f.write_bytes(b"PAR1")),
    ("manifest.parquet", "", "rows", lambda f: pq.write_table(pq.read_table(f).slice(1), f)),
    ("manifest.parquet", "", "columns", lambda f: pq.write_table(pq.read_table(f).drop(["prompt"]), f)),
    ("manifest.parquet", KEY, "prompt", lambda f: retable(f, lambda row: row.update(prompt="A dog."))),
    ("manifest.parquet", KEY, "images", lambda f: retable(f, lambda row: row["images"][0].update(seed=1))),
    ("manifest.parquet", KEY, "position", lambda f: retable(f, lambda row: row.update(position=77))),
    ("manifest.parquet", KEY, "id", lambda f: retable(f, lambda row: row.update(id="mtg-00000333"))),
    ("manifest.parquet", "mtg-00000333", "id", lambda f: retable(f, lambda row: row.update(id="mtg-00000333"))),
    (FIRST, "", "", Path.unlink),
    ("multi_turn/mtg-train-7.tar", "", "", lambda f: shutil.copy(f.with_name("mtg-train-000000.tar"), f)),
    ("multi_turn/mtg-train-000009.tar.tmp", "", "", Path.touch),
    ("multi_turn/.mtg-train-000009.tar.0.part", "", "", Path.touch),
]  # fmt: skip


def retable(manifest: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change one sample's row."""
    table = pq.read_table(manifest)
    rows = table.to_pylist()
    change(next(row for row in rows if row["id"] == KEY))
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), manifest)


@pytest.mark.parametrize(("file", "key", "field", "plant"), DATASET_FAULTS)
def test_planted_in_the_files_around(copy: Path, file: str, key: str, field: str, plant: Callable[[Path], Any]) -> None:
    plant(copy / file)
    problems = verify(copy).problems
    assert (file, key, field) in {(p.file, p.key, p.field) for p in problems}, "\n".join(map(str, problems))


def test_every_file_of_a_corpus_had_a_fault_planted(good: Path) -> None:
    """By kind: another subset's shard or wids index is the same file again."""
    kinds = {p.name for p in good.iterdir() if p.is_file()} | {FIRST, WIDS}
    assert kinds <= {file for file, *_ in DATASET_FAULTS}
    assert {p.suffix for p in good.glob("*/*")} == {".tar", ".json"}


# Where each model's fields stand in a sample's JSON.
PLACES: list[tuple[type, tuple[str | int, ...]]] = [
    (Sample, ()), (Segment, ("segments", 2)), (Picture, ("images", 0)), (Score, ("images", 0, "scores", 0)),
]  # fmt: skip
WRONG_TYPE = {str: 7, int: "7", float: 7, bool: "yes", None: {}}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_corpus(tmp_path_factory.mktemp("one") / "corpus", [multi_turn(4)])


@pytest.mark.parametrize(
    ("place", "row"), [(place, row) for model, place in PLACES for row in field_rows(model)],  # type: ignore[arg-type]
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else value.name,
)  # fmt: skip
def test_planted_in_every_field_of_a_sample(one: Path, place: tuple[str | int, ...], row: FieldRow) -> None:
    """Missing, null and of another type: each is refused with file, key and field."""
    members, sums = read_tar(one / FIRST), (one / FIRST).read_bytes()
    wanted = ".".join(map(str, (*place, row.name)))

    def planted(change: Callable[[dict[str, Any]], Any]) -> list[tuple[str, str, str]]:
        write_tar(one / FIRST, edit(KEY, lambda fields: change(inner(fields, place)))(members))
        return [(p.file, p.key, p.field) for p in verify(one).problems]

    try:
        assert (FIRST, KEY, wanted) in planted(lambda d: d.pop(row.name))
        assert (FIRST, KEY, wanted) in planted(lambda d: d.update({row.name: None}))
        assert (FIRST, KEY, wanted) in planted(lambda d: d.update({row.name: WRONG_TYPE[row.scalar]}))
    finally:
        (one / FIRST).write_bytes(sums)


def inner(fields: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        fields = fields[step]
    return fields


def test_a_group_in_two_splits(tmp_path: Path) -> None:
    samples = [alignment(1, group="same"), alignment(2, split="validation", group="same")]
    write_tiny_corpus(tmp_path / "out", samples)
    assert [(p.key, p.field) for p in verify(tmp_path / "out").problems] == [("iia-00000002", "group")]


def test_problems_are_bounded(copy: Path) -> None:
    for tar in copy.glob("*/*.tar"):
        write_tar(tar, [(n, d) for n, d in read_tar(tar) if not n.endswith("json")])
    found = verify(copy, limit=10)
    assert len(found.problems) == 10 and found.cut
    with pytest.raises(FileNotFoundError, match="no such folder"):
        verify(copy / "nowhere")
