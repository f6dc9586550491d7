"""The registry of subsets and sample kinds: its values, and that everything else follows from it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from conftest import ROOT
from factories import alignment, conflict, corpus, multi_turn

from underpaint.pipeline.corpus.verify import _SHARD
from underpaint.pipeline.engine.graph import BRANCHES, YIELDS
from underpaint.pipeline.recipe.corpus_settings import Quotas
from underpaint.pipeline.recipe.quotas import PAPER
from underpaint.pipeline.recipe.recipe import Shards
from underpaint.pipeline.selection.reference import Reference
from underpaint.schemas.corpus import subsets
from underpaint.schemas.corpus.sample import Sample, SampleError, SubsetName, content_sha256, sample_id
from underpaint.schemas.corpus.subsets import SAMPLE_KINDS, SUBSETS, kinds_of
from underpaint.schemas.corpus.webdataset import decode_json, split_member
from underpaint.schemas.scenes.critique import Side

FIVE = {
    "multi_turn": ("multi_turn", "none", 32_012),
    "conflict_positive": ("conflict", "positive", 6_905),
    "conflict_negative": ("conflict", "negative", 8_296),
    "alignment_positive": ("alignment", "positive", 5_000),
    "alignment_negative": ("alignment", "negative", 10_000),
}


def test_the_papers_subsets_and_kinds() -> None:
    assert [(s.name, s.abbreviation, s.branch, s.judged, s.shards, s.whole_trajectory) for s in SUBSETS.values()] == [
        ("multi_turn", "mtg", "painted", "picture", 128, True),
        ("conflict", "iic", "sampled", "text", 64, False),
        ("alignment", "iia", "sampled", "picture", 64, False),
    ]
    assert {name: (k.subset.name, k.polarity, k.paper) for name, k in SAMPLE_KINDS.items()} == FIVE
    assert sum(k.paper for k in SAMPLE_KINDS.values()) == 62_213
    assert {name: sorted(s.context) for name, s in SUBSETS.items()} == {
        "multi_turn": ["prompt"], "conflict": ["plan", "prompt", "sketch"], "alignment": ["plan", "prompt", "sketch"]
    }  # fmt: skip
    assert kinds_of("alignment") == ["alignment_positive", "alignment_negative"]


def test_whoever_names_subsets_or_kinds_names_these() -> None:
    assert get_args(SubsetName) == ("multi_turn", "conflict", "alignment")
    assert list(PAPER) == list(FIVE) and set(FIVE) == set(Quotas.model_fields) - {"total", "categories"}
    assert set(Shards.model_fields) == {"multi_turn", "conflict", "alignment", "validation", "encoding"}
    assert YIELDS == {
        "painted": ("multi_turn",),
        "sampled": ("conflict_positive", "conflict_negative", "alignment_positive", "alignment_negative"),
    }
    assert set(YIELDS) < set(BRANCHES) and {s.judged for s in SUBSETS.values()} == {side.value for side in Side}
    for name, (subset, polarity, _) in FIVE.items():
        reference = Reference(name, 0, 0, 0, "counting", "scene", 1)
        assert (reference.subset, reference.kind.polarity) == (subset, polarity)
    assert [sample_id(s, 7) for s in SUBSETS] == ["mtg-00000007", "iic-00000007", "iia-00000007"]
    assert split_member("iia-00000007.json") == ("iia-00000007", "json")
    assert _SHARD.fullmatch("conflict/iic-train-000001.tar") and not _SHARD.fullmatch("repairs/iic-train-000001.tar")


def test_orders_match_the_samples_of_their_kind_and_of_no_other() -> None:
    for sample, _ in corpus(size=5):
        stages = " ".join(s.stage for s in sample.segments)
        matching = [name for name, kind in SAMPLE_KINDS.items() if re.fullmatch(kind.order, stages)]
        assert matching == [SUBSETS[sample.subset].kind(sample.polarity)]


def swapped(d: dict[str, Any]) -> None:
    d["segments"][2:4] = [d["segments"][3] | {"step": 1}, d["segments"][2]]


ORDERS: list[tuple[Sample, str, str, Any]] = [
    (alignment(1)[0], "segments", "'prompt plan inspect sketch refine repaint'", swapped),
    (conflict(1)[0], "segments", "'prompt plan sketch inspect refine'", lambda d: d["segments"].pop(3)),
    (multi_turn(1)[0], "segments.2.loss", "on a sketch, which is a target", lambda d: d["segments"][2].update(loss=0)),
    (conflict(1)[0], "segments.3.loss", "1 on a plan, which is context", lambda d: d["segments"][3].update(loss=1)),
    (multi_turn(1)[0], "polarity", "in multi_turn it is 'none'", lambda d: d.update(polarity="positive")),
    (conflict(1)[0], "polarity", "in conflict it is 'positive' or 'negative'", lambda d: d.update(polarity="none")),
]  # fmt: skip


@pytest.mark.parametrize(("sample", "field", "message", "plant"), ORDERS)
def test_segments_stand_in_the_declared_order(sample: Sample, field: str, message: str, plant: Any) -> None:
    fields = json.loads(sample.to_json_bytes())
    plant(fields)
    fields["n_steps"] = len({s["step"] for s in fields["segments"][1:]})
    fields["content_sha256"] = content_sha256(fields)
    with pytest.raises(SampleError) as refused:
        decode_json(sample.id, json.dumps(fields).encode())
    assert refused.value.field == field and message in refused.value.message


def test_readers_of_python_3_10_import_it_without_any_library() -> None:
    file = Path(subsets.__file__)
    ast.parse(file.read_text("utf-8"), feature_version=(3, 10))
    done = subprocess.run([sys.executable, "-I", "-S", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


SIXTH = """
from underpaint.schemas.corpus import subsets
from underpaint.schemas.corpus.subsets import SAMPLE_KINDS, SUBSETS, SampleKind, Subset

# As subsets.py would declare it, before anything else reads the registry.
FINISH = Subset("finish", "fin", branch="sampled", judged="picture", shards=64, teaches="Is the picture finished?",
                context=frozenset({"prompt", "plan", "sketch"}))
SUBSETS["finish"] = FINISH
for polarity in ("positive", "negative"):
    kind = SampleKind(FINISH, polarity, 0, "prompt( plan sketch)+ inspect", f"Finish, {polarity}")
    SAMPLE_KINDS[kind.name] = kind
subsets.ABBREVIATION += "|fin"

import sys
sys.path.insert(0, "tests")
from factories import _inspection, _sample, new_picture, plan, prompt
from underpaint.pipeline.corpus.card import configs
from underpaint.pipeline.corpus.verify import _SHARD
from underpaint.pipeline.engine.graph import YIELDS
from underpaint.pipeline.recipe.quotas import PAPER, proportional, shard_numbers
from underpaint.pipeline.recipe.recipe import Shards
from underpaint.pipeline.recipe.corpus_settings import Quotas
from underpaint.schemas.corpus.fields import json_schema
from underpaint.schemas.corpus.sample_builder import image_segment
from underpaint.schemas.corpus.webdataset import decode, encode
from underpaint.schemas.corpus.write_schema import kinds_table

segments = [prompt(), plan(1, 0), image_segment("sketch", 1, 0, loss=0), *_inspection(1, False)]
sample, pictures = _sample("finish", 3, "positive", segments, [new_picture(1)], split="train")
assert sample.id == "fin-00000003" and decode(dict(encode(sample, pictures))) == (sample, pictures)
assert "finish" in json_schema()["properties"]["subset"]["enum"] and "| finish_negative | `fin-…` |" in kinds_table()
assert YIELDS["sampled"][-2:] == ("finish_positive", "finish_negative")
assert _SHARD.fullmatch("finish/fin-train-000000.tar") and configs([("finish", "train")])[0]["config_name"] == "finish"
five = {name: number for name, number in PAPER.items() if number}
assert len(five) == 5 and Quotas(**five).numbers() == Quotas().numbers() == proportional(62_213) == PAPER
quota = Quotas(**five, finish_positive=900, finish_negative=100, categories={"finish": {"counting": 1}})
assert quota.cells()["finish_positive", "counting"] == 900
assert shard_numbers(quota.numbers(), {})["finish", "train"] == 4  # of 250 samples each
assert Shards(finish=6).finish == 6
"""


def test_a_sixth_kind_reaches_whoever_asks_the_registry() -> None:
    done = subprocess.run([sys.executable, "-c", SIXTH], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
