"""Whole builds through the command line, on Ray: the same bytes again, killed, resumed, with a word changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import webdataset
import yaml
from conftest import ROOT, command, structural_recipe, underpaint

Write = Callable[[dict[str, Any]], Path]


def tars(out: Path) -> dict[str, bytes]:
    corpus = out / "corpus"
    return {str(p.relative_to(corpus)): p.read_bytes() for p in sorted(corpus.rglob("*")) if p.is_file()}


def made(text: str) -> tuple[int, int]:
    """Lots made and reused, as the build says at its end."""
    line = next(line for line in text.splitlines() if line.strip().startswith("lots:"))
    words = line.split()
    return int(words[1]), int(words[3])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe and its finished run, by two workers."""
    folder = tmp_path_factory.mktemp("built")
    file, out = folder / "recipe.yaml", folder / "run"
    file.write_text(yaml.safe_dump(structural_recipe()))
    done = underpaint("build", file, "--out", out, "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    return file, out


def test_the_corpus_is_what_was_asked_for(built: tuple[Path, Path]) -> None:
    file, out = built
    found = json.loads(underpaint("status", file, "--out", out, "--json").stdout)
    assert found["balanced"] and all(s["lots"] == s["of"] for s in found["stages"])
    assert {n: q["chosen"] for n, q in found["quotas"].items()} == {
        "multi_turn": 16,
        "conflict_positive": 3,
        "conflict_negative": 4,
        "alignment_positive": 2,
        "alignment_negative": 5,
    }
    checked = underpaint("verify", out / "corpus", "--json")
    assert checked.returncode == 0, checked.stdout
    assert json.loads(checked.stdout)["counts"]["samples"] == 30
    page = underpaint("report", file, "--out", out)
    assert page.returncode == 0, page.stderr
    html = (out / "report.html").read_text()
    assert html.count("<article>") == 30 and "data:image/webp;base64," in html


def test_a_stranger_reads_it_with_webdataset_and_json(built: tuple[Path, Path]) -> None:
    seen = []
    for shard in sorted((built[1] / "corpus").glob("*/*.tar")):
        for raw in webdataset.WebDataset(str(shard), shardshuffle=False):
            sample = json.loads(raw["json"])
            for segment in sample["segments"]:
                assert segment["text"] or raw[segment["image"]]
            seen.append(sample["id"])
    assert len(seen) == len(set(seen)) == 30


def test_the_same_bytes_with_one_worker(built: tuple[Path, Path], tmp_path: Path) -> None:
    file, out = built
    done = underpaint("build", file, "--out", tmp_path / "run", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert tars(tmp_path / "run") == tars(out)


def test_a_second_build_makes_nothing(built: tuple[Path, Path]) -> None:
    file, out = built
    before = tars(out)
    done = underpaint("build", file, "--out", out)
    assert made(done.stdout)[0] == 0 and "up to date" in done.stdout
    assert tars(out) == before


def test_killed_in_the_middle_it_goes_on_to_the_same_bytes(built: tuple[Path, Path], tmp_path: Path) -> None:
    file, out = built
    words, options = command("build", file, "--out", tmp_path / "run")
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    manifests = (tmp_path / "run" / "lots").glob
    deadline = time.monotonic() + 120
    while len(list(manifests("rollout-*/lot-*.json"))) < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    kept = len(list(manifests("*/lot-*.json")))
    assert kept and not (tmp_path / "run" / "corpus").exists()
    done = underpaint("build", file, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert made(done.stdout)[1] >= kept
    assert tars(tmp_path / "run") == tars(out)


def test_a_worker_that_dies_costs_one_lot(
    recipe: dict[str, Any], write_recipe: Write, built: tuple[Path, Path], tmp_path: Path
) -> None:
    flag = tmp_path / "die"
    flag.touch()
    recipe["models"]["symbols"] = {"kind": "python", "factory": "poison:Suicidal", "options": {"flag": str(flag)}}
    done = underpaint("build", write_recipe(recipe), "--out", tmp_path / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not flag.exists() and "redone after a worker died" in done.stdout
    assert underpaint("verify", tmp_path / "run" / "corpus").returncode == 0


def test_a_node_that_dies_ends_the_build_with_a_message(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself would wait for another node for ever."""
    for name, value in {"period_ms": 500, "timeout_ms": 1000, "failure_threshold": 2}.items():
        monkeypatch.setenv(f"RAY_health_check_{name}", str(value))  # so that it notices sooner
    recipe["models"]["symbols"] = {"kind": "python", "factory": "poison:Regicide"}
    done = underpaint("build", write_recipe(recipe), "--out", tmp_path / "run")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "Ray's own processes on this machine died; what is done is kept" in done.stderr


def test_a_model_that_does_not_load_is_said_at_once(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    recipe["models"]["symbols"] = {"kind": "python", "factory": "poison:Unloadable"}
    done = underpaint("build", write_recipe(recipe), "--out", tmp_path / "run")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    said = "failed: check: no worker could start: FileNotFoundError: half of the weights are missing"
    assert said in done.stderr


def test_one_word_in_a_template_redoes_no_picture(built: tuple[Path, Path], tmp_path: Path) -> None:
    recipe = structural_recipe()
    out = tmp_path / "run"
    shutil.copytree(built[1], out)
    folder = tmp_path / "templates"
    folder.mkdir()
    words = (ROOT / "stages" / "templates" / "critique_text.md.j2").read_text()
    (folder / "critique_text.md.j2").write_text(words.replace("contradict", "violate"))
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({**recipe, "templates": [str(folder)]}))
    plan = {s["stage"]: s for s in json.loads(underpaint("plan", file, "--out", out, "--json").stdout)}
    stale = {name for name, s in plan.items() if s["stale"]}
    assert stale == {"critique", "conflict", "repair", "alignment", "score_alignment", "candidates_sampled"}
    assert plan["critique"]["because"] == ["template critique_text changed"]
    assert plan["conflict"]["because"] == ["follows critique"]
    assert plan["draft"]["kept"] and plan["rollout"]["kept"]
    done = underpaint("build", file, "--out", out)
    assert done.returncode == 0, done.stderr
    assert made(done.stdout) == (sum(plan[n]["stale"] for n in stale), sum(s["kept"] for s in plan.values()))
    with tarfile.open(next((out / "corpus" / "conflict").glob("*.tar"))) as tar:
        name = next(n for n in tar.getnames() if n.endswith(".json"))
        sample = json.loads(tar.extractfile(name).read())  # type: ignore[union-attr]
    former = {m["template_sha256"] for m in _samples(built[1] / "corpus" / "conflict")}
    assert sample["template_sha256"] not in former  # the digest travels into the sample


def _samples(folder: Path) -> list[dict[str, Any]]:
    shards = sorted(map(str, folder.glob("*.tar")))
    return [json.loads(r["json"]) for shard in shards for r in webdataset.WebDataset(shard, shardshuffle=False)]


def test_a_poisoned_build_goes_on(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    recipe["models"]["renderer"] = {"kind": "python", "factory": "poison:TornPainter"}
    recipe["models"]["symbols"] = {"kind": "python", "factory": "poison:Mumbler"}
    file, out = write_recipe(recipe), tmp_path / "run"
    done = underpaint("build", file, "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(underpaint("status", file, "--out", out, "--json").stdout)
    failed = {s["stage"]: s["failed"] for s in found["stages"]}
    assert found["balanced"] and failed["draft"] and failed["critique"]["CritiqueError"]
    rows = [json.loads(line) for f in (out / "quarantine").rglob("*.jsonl") for line in f.read_text().splitlines()]
    assert len(rows) >= sum(sum(f.values()) for f in failed.values())
    assert all(r["sample"] >= 0 and r["error"] and r["message"] for r in rows)
    assert underpaint("verify", out / "corpus").returncode == 0


def test_an_impossible_quota_is_said_with_the_yields(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    recipe["models"]["renderer"]["fault_rate"] = 0.0  # a painter without errors yields no alignment negatives
    recipe["rounds"] = {"max_rounds": 2, "max_lots": 3}
    recipe["quotas"]["categories"] = {"multi_turn": {"counting": 1, "position": 1}}
    recipe["stages"]["prompts"] = {"shares": {"counting": 1, "position": 1e-9}}
    done = underpaint("build", write_recipe(recipe), "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "alignment_negative: 0 of 5 after 3 lots (0.00 a lot, of 0 candidates)" in done.stderr
    assert "multi_turn, position: 0 of 8 after 3 lots (0.00 a lot, of 0 candidates)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sample_is_traced_to_its_bytes(built: tuple[Path, Path]) -> None:
    file, out = built
    for id in ("mtg-00000000", "iia-00000000"):
        found = json.loads(underpaint("trace", file, id, "--out", out, "--json").stdout)
        shard = Path(found["shard"]["path"]).read_bytes()
        for member in found["members"]:
            data = shard[member["offset"] : member["offset"] + member["bytes"]]
            if member["name"].endswith(".json"):
                assert json.loads(data)["id"] == id
            else:
                name = member["name"].partition(".")[2]
                digest = next(p["sha256"] for p in found["sample"]["images"] if p["name"] == name)
                assert hashlib.sha256(data).hexdigest() == digest
        rows = {s["stage"]: s["rows"] for s in found["store"]}
        assert rows["prompts"][0]["prompt"] == found["sample"]["prompt"]
        assert all(Path(s["file"]).is_file() for s in found["store"])
        assert all(r["sample"] == found["origin"]["sample"] for stage in rows.values() for r in stage)
    text = underpaint("trace", file, "mtg-00000000", "--out", out).stdout
    assert "target  sketch  1 img0.webp" in text and "at byte" in text
    wrong = underpaint("trace", file, "mtg-99999999", "--out", out)
    assert wrong.returncode == 2 and "has no sample 'mtg-99999999'" in wrong.stderr


def test_gc_deletes_what_the_recipe_no_longer_makes(built: tuple[Path, Path], tmp_path: Path) -> None:
    out, recipe = tmp_path / "run", structural_recipe()
    shutil.copytree(built[1], out)
    recipe["stages"]["plan"] = {"detour_share": 0.1}
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe))
    (out / "lots" / ".lot-00000000.json.0.part").touch()
    listed = json.loads(underpaint("gc", file, "--out", out, "--json").stdout)
    places = {Path(x["path"]).name.rpartition("-")[0] for x in listed["leftovers"] if "former" in x["why"]}
    assert {"plan", "draft", "check"} <= places and not {"prompts", "rollout", "critique"} & places
    assert all(Path(x["path"]).exists() for x in listed["leftovers"]) and not listed["deleted"]
    assert underpaint("gc", file, "--out", out, "--delete").returncode == 0
    assert not any(Path(x["path"]).exists() for x in listed["leftovers"])
    assert list((out / "lots").glob("rollout-*/lot-*.json"))
    assert json.loads(underpaint("gc", file, "--out", out, "--json").stdout)["leftovers"] == []
