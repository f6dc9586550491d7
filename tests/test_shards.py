"""Shards are equal for equal samples, readable without this project, and every planted fault is found and named."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import webdataset as wds
import yaml
from conftest import make_lot
from factories import FIRST, INFO, SHARDS, corpus, load, multi_turn, picture, refs, write_corpus, write_tiny_corpus
from PIL import Image

from underpaint.pipeline.corpus.assemble import Assembler
from underpaint.pipeline.corpus.card_facts import ModelNote
from underpaint.pipeline.corpus.corpus_files import begin_corpus, finish_corpus
from underpaint.pipeline.corpus.figures import Facts
from underpaint.pipeline.corpus.repair_figures import Repairs, Tries
from underpaint.pipeline.corpus.shard import Ref, ShardError, deal, plan_shards, write_shard
from underpaint.pipeline.corpus.verify import verify
from underpaint.pipeline.selection.select import select
from underpaint.schemas.corpus.sample import SampleError

Members = list[tuple[str, bytes]]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


def read_tar(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]


# ---- writing ------------------------------------------------------------------------------------------


def test_what_was_written_verifies(good: Path) -> None:
    found = verify(good)
    assert found.problems == []
    assert found.counts["samples"] == 60 and found.counts["shards"] == 12
    index = json.loads((good / "index.json").read_text())
    assert found.totals == index["totals"] and index["totals"]["polarity"]["none"] == 20
    assert {k: index[k] for k in ("samples", "pictures")} == {k: found.counts[k] for k in ("samples", "pictures")}
    assert not list(good.rglob("*.manifest.parquet")) and not list(good.parent.glob("*.tmp"))


def test_equal_samples_give_equal_bytes_in_whatever_order_shards_are_written(good: Path, tmp_path: Path) -> None:
    staging = begin_corpus(tmp_path / "again")
    plans = plan_shards(refs(corpus()), SHARDS)
    results = [write_shard(staging, plan, load) for plan in reversed(plans)]
    finish_corpus(staging, tmp_path / "again", results, INFO)
    files = sorted(p.relative_to(good) for p in good.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file())
    for file in files:
        assert (good / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_members_carry_no_time_and_no_owner(good: Path) -> None:
    with tarfile.open(good / FIRST) as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname, member.mode) == (0, 0, 0, "", 0o644)
            assert not member.pax_headers


def light(counts: Sequence[int]) -> list[Ref]:
    return [Ref(f"mtg-{i:08d}", "multi_turn", "train", n) for i, n in enumerate(counts)]


def test_dealing_is_round_robin_with_the_fullest_samples_first() -> None:
    samples = light([1, 2, 5, 3, 5, 1, 5, 5, 2, 5, 1, 5, 4])
    shards = deal(samples, 2)
    assert [r.n_images for r in shards[0][:5]] == [5] * 5
    assert sorted(r.id for s in shards for r in s) == sorted(r.id for r in samples)
    assert [len(s) for s in shards] == [7, 6]
    assert [r.id for r in deal(light([3] * 12), 1)[0]] == [r.id for r in light([3] * 12)]
    assert [len(s) for s in deal(light([1, 2, 3]), 8)] == [1, 1, 1]
    assert deal([], 4) == []


def test_refusals_while_planning_and_writing(tmp_path: Path) -> None:
    samples = [multi_turn(n, 1) for n in range(2)]
    plan = plan_shards(refs(samples), SHARDS | {("multi_turn", "train"): 1})[0]
    with pytest.raises(ShardError, match="mtg-00000001: two samples"):
        plan_shards(refs([*samples, samples[1]]), SHARDS)
    with pytest.raises(ShardError, match="multi_turn, train: 2 samples, but no number of shards"):
        plan_shards(refs(samples), {})
    with pytest.raises(ShardError, match="no sample mtg-00000001"):
        write_shard(tmp_path, plan, lambda asked: [asked[0].payload])
    with pytest.raises(ShardError, match="more than the 2"):
        write_shard(tmp_path, plan, lambda asked: [*(r.payload for r in asked), asked[0].payload])
    with pytest.raises(SampleError, match="mtg-00000000: id"):
        write_shard(tmp_path, plan, lambda asked: [r.payload for r in reversed(asked)])
    with pytest.raises(SampleError, match=r"images\.0\.(bytes|sha256)"):
        write_shard(tmp_path, plan, lambda asked: [(r.payload[0], [picture(77)]) for r in asked])
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    with pytest.raises(ShardError, match="empty"):
        write_corpus(tmp_path / "none", [], load, SHARDS, INFO)


def test_an_interrupted_run_publishes_nothing_and_is_swept(tmp_path: Path) -> None:
    def breaks(asked: Sequence[Ref]) -> Any:
        raise RuntimeError("power cut")

    out = tmp_path / "out"
    with pytest.raises(RuntimeError):
        write_corpus(out, refs(corpus(2)), breaks, SHARDS, INFO)
    assert not out.exists()
    write_corpus(out, refs(corpus(2)), load, SHARDS, INFO)
    assert verify(out).problems == []
    with pytest.raises(ShardError, match="exists already"):
        write_corpus(out, refs(corpus(2)), load, SHARDS, INFO)


# ---- reading without this project ---------------------------------------------------------------------


def test_plain_webdataset_and_json_read_it(good: Path) -> None:
    texts, pictures = [], []
    for s in wds.WebDataset([str(p) for p in sorted(good.glob("*/*.tar"))], shardshuffle=False):
        sample = json.loads(s["json"])
        for part in sample["segments"]:
            if part["type"] == "text":
                texts.append((s["__key__"], part["text"]))
            else:
                pictures.append((s["__key__"], Image.open(io.BytesIO(s[part["image"]])).convert("RGB").tobytes()))
    wanted_texts, wanted_pictures = [], []
    for sample, data in corpus():
        named = dict(zip([p.name for p in sample.images], data, strict=True))
        wanted_texts += [(sample.id, s.text) for s in sample.segments if s.type == "text"]
        for segment in sample.segments:
            if segment.type == "image":
                opened = Image.open(io.BytesIO(named[segment.image])).convert("RGB")
                wanted_pictures.append((sample.id, opened.tobytes()))
    assert sorted(texts) == sorted(wanted_texts) and sorted(pictures) == sorted(wanted_pictures)


def test_the_card_declares_what_the_shards_hold(good: Path) -> None:
    front = yaml.safe_load((good / "README.md").read_text().split("---\n")[1])
    assert [c["config_name"] for c in front["configs"]] == ["multi_turn", "conflict", "alignment"]
    assert [c.get("default", False) for c in front["configs"]] == [True, False, False]
    for config in front["configs"]:
        for files in config["data_files"]:
            assert files["path"].endswith(".tar") and list(good.glob(files["path"]))
    declared = {f["name"]: f for f in front["dataset_info"][0]["features"]}
    sample = json.loads(read_tar(good / FIRST)[-1][1])
    assert {f["name"] for f in declared["json"]["struct"]} == sample.keys()
    assert {f"img{i}.webp" for i in range(5)} <= declared.keys()
    listed = {f["name"]: f for f in declared["json"]["struct"]}
    assert {f["name"] for f in listed["segments"]["list"]} == sample["segments"][0].keys()


def test_manifest_and_wids(good: Path) -> None:
    table = pq.read_table(good / "manifest.parquet")
    assert table.num_rows == 60 and "extra" not in table.column_names
    wanted = {s.id: s for s, _ in corpus()}
    for row in table.to_pylist():
        sample = wanted[row["id"]].to_dict()
        assert {k: row[k] for k in sample if k != "extra"} == {k: v for k, v in sample.items() if k != "extra"}
    wids = json.loads((good / "multi_turn/mtg-train.wids.json").read_text())
    for entry in wids["shardlist"]:
        data = (good / "multi_turn" / entry["url"]).read_bytes()
        assert entry["filesize"] == len(data) and entry["md5sum"] == hashlib.md5(data).hexdigest()


def test_croissant_gives_the_manifests_rows(good: Path) -> None:
    import mlcroissant

    dataset = mlcroissant.Dataset(good / "croissant.json")
    rows = [{k.removeprefix("samples/"): v for k, v in r.items()} for r in dataset.records("samples")]
    wanted = pq.read_table(good / "manifest.parquet").to_pylist()
    assert len(rows) == len(wanted) == 60
    for row, sample in zip(rows, wanted, strict=True):
        read = {k: v.decode() if isinstance(v, bytes) else v for k, v in row.items()}
        assert read == {k: v for k, v in sample.items() if k not in ("segments", "images")}


def test_sha256sum_checks_a_download(good: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=good, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    checked = {line.partition(":")[0] for line in done.stdout.splitlines()}
    listed = {p.relative_to(good).as_posix() for p in good.rglob("*") if p.is_file()}
    assert checked == listed - {"README.md", "SHA256SUMS"}  # people edit their card


def test_the_card_says_what_the_corpus_is_and_who_made_it(tmp_path: Path) -> None:
    note = ModelNote("painter", "brush", "0123abcd", "example/painter at `f00d`", "apache-2.0")
    stage = {"stage": "critique", "unit": "steps", "entered": 9, "kept": 7, "rejected": {"odd | even": 2}, "failed": {}}
    quotas = {"multi_turn": {"chosen": 20, "accepted": 25, "rejected": {"over quota": 5}}}
    facts = Facts(judged=Counter(text=4), findings={"text": Counter(wrong_attribute=3)})
    mended = Repairs(8, [Tries("1", 8, 2), Tries("2", 6, 3)], [])
    info = replace(INFO, license="other", models=(note,), funnel=(stage,), quotas=quotas, facts=facts, repairs=mended)
    write_corpus(tmp_path / "out", refs(corpus()), load, SHARDS, info)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "license: other\n" in card
    assert "| conflict | negative | 8 | 2 | Inspect, text side" in card
    assert "| painter | brush | `0123abcd` | example/painter at `f00d` | apache-2.0 |" in card
    assert "| critique | steps | 9 | 7 | 2 odd / even |  |" in card
    assert "| multi_turn | 20 | 25 | 5 over quota |" in card
    assert "| `clip_description` | alignment | 30 | 0.250 | 0.250 |" in card
    assert "| counting | 20 | 20 | 20 |\n" in card
    assert "| 2 | 6 | 3 | 50.0% |" in card and "found no fault: 5." in card
    assert "| wrong attribute | 75.0% |" in card


def test_the_compact_variant_is_named_declared_and_verified(
    recipe: dict[str, Any], write_recipe: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    recipe["shards"] = {"encoding": "jpeg95_444"}
    loaded, nodes, store = make_lot(write_recipe, recipe, tmp_path / "run")
    chosen = select(loaded, nodes, store, {"painted": 1, "sampled": 1}).chosen
    assembler = Assembler(loaded, nodes, store)
    written = write_tiny_corpus(tmp_path / "out", (assembler(reference) for reference in chosen))
    assert verify(written).problems == []
    names = {name.partition(".")[2] for shard in written.glob("*/*.tar") for name, _ in read_tar(shard)}
    assert {name.rpartition(".")[2] for name in names} == {"jpg", "json"}
    front = yaml.safe_load((written / "README.md").read_text().split("---\n")[1])
    assert "img4.jpg" in {f["name"] for f in front["dataset_info"][0]["features"]}
