"""What is exported is what the shards hold: read back by the loaders it was made for, and compared."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest
from factories import alignment, conflict, multi_turn, picture, write_tiny_corpus
from loaders import by_hand, energon_folder, parts, pixels
from typer.testing import CliRunner

from underpaint.pipeline.cli.main import app
from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.corpus.exports import dpo, energon, parquet
from underpaint.pipeline.corpus.shard import read_shard
from underpaint.schemas.corpus.conversation import conversation
from underpaint.schemas.corpus.picture import decode_picture
from underpaint.schemas.corpus.preference import preference_pair
from underpaint.schemas.corpus.sample import Sample

Everything = dict[str, tuple[Sample, list[bytes]]]


@pytest.fixture(scope="module")
def everything(built_corpus: Path) -> Everything:
    return {s.id: (s, files) for shard in sorted(built_corpus.glob("*/*.tar")) for s, files in read_shard(shard)}


# ---- IRG's conversations ------------------------------------------------------------------------------


def test_a_conversation_says_what_is_looked_at() -> None:
    user, assistant = conversation(*multi_turn(pictures=2))
    assert user == {"role": "user", "content": multi_turn()[0].prompt, "need_loss": False}
    flags = [[p.get(f) for f in ("type", "need_loss", "need_vae", "need_vit")] for p in assistant["content"]]
    plan, looked_at, last = ["text", True, None, None], ["image", True, True, True], ["image", True, False, False]
    assert flags == [plan, looked_at, plan, last]
    flawed, repaint = [p for p in conversation(*alignment())[1]["content"] if p["type"] == "image"]
    assert (flawed["need_loss"], flawed["need_vae"], flawed["need_vit"]) == (False, True, True)
    assert (repaint["need_loss"], repaint["need_vae"], repaint["need_vit"]) == (True, False, False)
    assert base64.b64decode(flawed["content"]) == picture(0)


def test_parquet_holds_every_text_and_picture(built_corpus: Path, everything: Everything, tmp_path: Path) -> None:
    assert parquet.export(built_corpus, tmp_path / "out")["samples"] == len(everything)
    seen = set()
    for subset, split in parts(built_corpus):
        for file in sorted((tmp_path / "out" / subset / split).glob("*.parquet")):
            for row in pq.read_table(file).to_pylist():
                sample, files = everything[row["id"]]
                seen.add(row["id"])
                assert (sample.subset, sample.split) == (subset, split)
                user, assistant = json.loads(row["conversation"])
                assert user["content"] == sample.prompt
                rest = sample.segments[1:]
                texts = [p["content"] for p in assistant["content"] if p["type"] == "text"]
                pictures = [base64.b64decode(p["content"]) for p in assistant["content"] if p["type"] == "image"]
                assert texts == [s.text for s in rest if s.type == "text"]
                assert pictures == files
                assert [p["need_loss"] for p in assistant["content"]] == [bool(s.loss) for s in rest]
    assert seen == everything.keys()


class Letters:
    """The one thing IRG's dataset asks of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        return list(text.encode())


@pytest.fixture
def irg(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any, Callable[[Path], Any]]]:
    """Both transforms and the dataset class of the checkout in IRG_REPO; what it needs for videos is stubbed."""
    import underpaint.stages.models.torchvision_compat  # noqa: F401  (before IRG imports torchvision)

    monkeypatch.syspath_prepend(str(Path(os.environ["IRG_REPO"]) / "SFT"))
    for name in ("cv2", "decord"):
        stub = ModuleType(name)
        stub.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, stub)
    from data.interleave_datasets.multi_think_interleave_t2i_dataset import MultiThinkInterleaveT2IDataset
    from data.transforms import ImageTransform

    vae, vit = ImageTransform(64, 64, 16), ImageTransform(56, 56, 14)
    yield (
        vae,
        vit,
        lambda folder: MultiThinkInterleaveT2IDataset(
            "irg", vae, Letters(), [str(folder)], [len(list(folder.glob("*.parquet")))], vit_transform=vit
        ),
    )
    for name in [n for n in sys.modules if n.partition(".")[0] == "data"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.skipif(
    "IRG_REPO" not in os.environ,
    reason="needs a clone of IRG's repository, which no package index has: IRG_REPO=<clone> runs it",
)
def test_irgs_own_dataset_reads_it(built_corpus: Path, everything: Everything, tmp_path: Path, irg: Any) -> None:
    """Every sample comes out of the unchanged class once: its texts, its plan, and its pictures as tensors."""
    vae, vit, dataset = irg
    parquet.export(built_corpus, tmp_path / "out")
    for subset, split in parts(built_corpus):
        items = islice(dataset(tmp_path / "out" / subset / split), len(by_hand(built_corpus, subset, split)))
        found = Counter(as_packed(item) for item in items)
        mine = [(s, files) for s, files in everything.values() if (s.subset, s.split) == (subset, split)]
        assert found == Counter(as_wanted(s, files, vae, vit) for s, files in mine)


def as_packed(item: dict[str, Any]) -> tuple[Any, ...]:
    texts = tuple(bytes(ids).decode() for ids in item["text_ids_list"])
    plan = tuple((p["type"], p["loss"]) for p in item["sequence_plan"])
    return texts, plan, tuple(t.numpy().tobytes() for t in item["image_tensor_list"])


def as_wanted(sample: Sample, files: list[bytes], vae: Any, vit: Any) -> tuple[Any, ...]:
    """Texts as they are; pictures as target, then as what later segments look at."""
    plan, tensors, pictures = [], [], iter(files)
    for i, segment in enumerate(sample.segments):
        if segment.type == "text":
            plan.append(("text", segment.loss))
            continue
        image = decode_picture(next(pictures))
        looked_at = [("vae_image", 0), ("vit_image", 0)] if i + 1 < len(sample.segments) else []
        for kind in [("vae_image", 1)] * segment.loss + looked_at:
            plan.append(kind)
            tensors.append((vit if kind[0] == "vit_image" else vae)(image).numpy().tobytes())
    texts = tuple(s.text for s in sample.segments if s.type == "text")
    return texts, tuple(plan), tuple(tensors)


# ---- pairs --------------------------------------------------------------------------------------------


def test_a_pair_is_the_corrected_picture_and_the_flawed_one() -> None:
    sample, files = alignment(3)
    pair = preference_pair(sample, files)
    assert pair is not None and (pair.rejected, pair.chosen) == tuple(files)
    assert (pair.prompt, pair.instruction) == ("A scene with 1 things.", "Add thing 1.")
    assert (pair.whole_prompt, pair.correction) == (sample.prompt, "Make the car red.")
    for other in (alignment(3, negative=False), conflict(3), multi_turn(3)):
        assert preference_pair(*other) is None


def test_datasets_reads_the_pairs_as_pictures(built_corpus: Path, everything: Everything, tmp_path: Path) -> None:
    from datasets import load_dataset

    counts = dpo.export(built_corpus, tmp_path / "out")
    seen = set()
    for split, rows in load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache")).items():
        for row in rows:
            sample, files = everything[row["id"]]
            seen.add(row["id"])
            assert (sample.subset, sample.polarity) == ("alignment", "negative")
            assert sample.split == row["split"] == split
            assert [pixels(row["rejected"]), pixels(row["chosen"])] == [pixels(f) for f in files]
            plan = next(s.text for s in sample.segments if s.stage == "plan")
            assert plan == f"<ins>{row['instruction']}</ins><des>{row['prompt']}</des>"
    wanted = {s.id for s, _ in everything.values() if (s.subset, s.polarity) == ("alignment", "negative")}
    assert seen == wanted and counts["pairs"] == len(wanted)


# ---- Energon ------------------------------------------------------------------------------------------


def test_energon_reads_each_subset_and_their_blend(built_corpus: Path, tmp_path: Path) -> None:
    before = sorted(built_corpus.rglob("*"))
    energon.export(built_corpus, tmp_path / "out")
    assert sorted(built_corpus.rglob("*")) == before  # nothing of Energon's beside the shards
    held_out = {}
    for subset, split in parts(built_corpus):
        wanted = by_hand(built_corpus, subset, split)
        assert energon_folder(tmp_path / "out" / subset, {"validation": "val"}.get(split, split)) == wanted
        if split == "validation":
            held_out |= wanted
    assert energon_folder(tmp_path / "out" / "metadataset.yaml", "val") == held_out


# ---- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("export", [energon.export, parquet.export, dpo.export])
def test_an_export_is_whole_or_not_there(export: Callable[[Path, Path], Any], tmp_path: Path) -> None:
    corpus = write_tiny_corpus(tmp_path / "corpus")
    shard = next((corpus / "alignment").glob("*.tar"))
    with pytest.raises(UserError, match="holds no corpus"):
        export(tmp_path, tmp_path / "out")
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="exists already; give another --out"):
        export(corpus, tmp_path / "there")
    shard.unlink()
    with pytest.raises(OSError, match=shard.name):
        export(corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob("*.tmp"))


def test_the_command(tmp_path: Path) -> None:
    corpus = write_tiny_corpus(tmp_path / "corpus", [multi_turn(1)])
    run = CliRunner().invoke
    done = run(app, ["export", str(corpus), "--to", "parquet", "--out", str(tmp_path / "out"), "--json"])
    assert json.loads(done.stdout) == {"out": str(tmp_path / "out"), "samples": 1, "files": 1}
    refused = run(app, ["export", str(corpus), "--to", "dpo", "--out", str(tmp_path / "pairs")])
    assert isinstance(refused.exception, UserError)
    assert "has no sample with a repaint" in str(refused.exception)
    assert not (tmp_path / "pairs").exists()
