"""docs/format.md is enough to write a reader: the code there is run as it stands, and compared with the project's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from factories import corpus, write_tiny_corpus
from loaders import by_hand, pixels
from PIL import Image

from underpaint.pipeline.corpus.exports import energon
from underpaint.pipeline.training.sequence import Policy, sequence
from underpaint.schemas.corpus.sample import Sample

PAGE = (ROOT / "docs" / "format.md").read_text("utf-8")


def code_under(words: str) -> str:
    """The first Python block after these words of the page."""
    found = re.search(r"```python\n(.*?)```", PAGE[PAGE.index(words) :], re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_corpus(tmp_path_factory.mktemp("page") / "tiny")


def test_the_reader_gives_contents_targets_and_labels(tiny: Path) -> None:
    reader: dict[str, Any] = {}
    code = code_under("## Write a reader")
    assert len([line for line in code.splitlines() if line.strip()]) <= 30
    exec(code, reader)
    wanted = {sample.id: (sample, files) for sample, files in corpus()}
    for shard in tiny.glob("*/*.tar"):
        for fields, pictures in reader["samples"](shard):
            sample, files = wanted.pop(fields["id"])
            assert fields == sample.to_dict()
            named = dict(zip([p.name for p in sample.images], files, strict=True))
            read = [
                (pixels(content) if isinstance(content, Image.Image) else content, target, label or "")
                for content, target, label in reader["items"](fields, pictures)
            ]
            assert read == packed(sample, named)
    assert not wanted


def packed(sample: Sample, named: dict[str, bytes]) -> list[tuple[str, bool, str]]:
    """The project's own plan, the copies of one picture taken together."""
    found: list[tuple[str, bool, str]] = []
    shown = ""
    for item in sequence(sample.segments, sample.complete, Policy()):
        content = item.content if item.kind == "text" else pixels(named[item.content])
        if item.kind != "text" and item.content == shown:
            found[-1] = content, found[-1][1] or item.loss, item.label
        else:
            found.append((content, item.loss, item.label))
        shown = "" if item.kind == "text" else item.content
    return found


def test_a_flipped_bit_is_noticed_by_the_reader(tiny: Path) -> None:
    reader: dict[str, Any] = {}
    exec(code_under("## Write a reader"), reader)
    fields, pictures = next(reader["samples"](next((tiny / "multi_turn").glob("*.tar"))))
    pictures["img0.webp"] = pictures["img0.webp"][:-1] + b"?"
    with pytest.raises(AssertionError, match=r"img0\.webp"):
        list(reader["items"](fields, pictures))


def test_the_cooker_gives_samples_and_pictures(tiny: Path, tmp_path: Path) -> None:
    from megatron.energon import WorkerConfig, get_savable_loader, get_train_dataset

    page: dict[str, Any] = {"__name__": "page"}
    exec(code_under("Samples are crude"), page)
    energon.export(tiny, tmp_path / "out")
    one = WorkerConfig(rank=0, world_size=1, num_workers=0)
    rows = get_train_dataset(
        tmp_path / "out" / "metadataset.yaml", worker_config=one, batch_size=1, task_encoder=page["Encoder"](),
        shuffle_buffer_size=None, max_samples_per_sequence=None,
    )  # fmt: skip
    seen = set()
    for row, _ in zip(get_savable_loader(rows), range(20), strict=False):
        sample, pictures = row[0]["sample"], row[0]["pictures"]
        expected = by_hand(tiny, sample["subset"], "train")[row[0]["__key__"].rpartition("/")[2]]
        assert (sample, {name: pixels(picture) for name, picture in pictures.items()}) == expected
        seen.add(sample["subset"])
    assert seen == {"multi_turn", "conflict", "alignment"}  # the blend draws from all three
