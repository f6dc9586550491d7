"""Sequence plans of every kind, word for word; the dataset class that trainers register; the packer on lengths."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from factories import alignment, conflict, corpus, multi_turn, write_tiny_corpus
from torch.utils.data import DataLoader

from underpaint.pipeline.training.bagel import TrajectoryDataset, register
from underpaint.pipeline.training.lengths import Pixels, Resize
from underpaint.pipeline.training.packing import (
    BAGEL_DEFAULTS,
    RECOMMENDED,
    Group,
    Packable,
    Packing,
    PackingError,
    simulate,
)
from underpaint.pipeline.training.sequence import Policy, sequences
from underpaint.pipeline.training.survey import PlannedSequence, measured
from underpaint.pipeline.training.tokens import byte_tokens
from underpaint.schemas.corpus.reader import ReaderError
from underpaint.schemas.corpus.sample import SampleError

PLAN = "<ins>Add thing {0}.</ins><des>A scene with {0} things.</des>"
PROMPT = "A red car, two green fish and a cup on a sand background."
WRONG = "The car is blue, not red.\n<refine>Make the car red.</refine>"
RIGHT = "Right so far; a cup is still to come."

GOLDEN = {
    "multi_turn": [
        f"text {PROMPT} context cfg → <|im_start|>",
        f"text {PLAN.format(1)} target → <|vision_start|>",
        "vae_image img0.webp target",
        "vae_image img0.webp context cfg",
        "vit_image img0.webp context cfg → <|im_start|>",
        f"text {PLAN.format(2)} target → <|vision_start|>",
        "vae_image img1.webp target",
        "vit_image img1.webp context → <|im_end|>",
    ],
    "conflict negative": [
        f"text {PROMPT} context cfg",
        f"text {PLAN.format(1)} context",
        "vae_image img0.webp context cfg",
        "vit_image img0.webp context cfg",
        f"text {PLAN.format(2)} context → <|im_start|>",
        f"text {WRONG} target",
    ],
    "conflict positive": [
        f"text {PROMPT} context cfg",
        f"text {PLAN.format(1)} context",
        "vae_image img0.webp context cfg",
        "vit_image img0.webp context cfg",
        f"text {PLAN.format(2)} context → <|im_start|>",
        f"text {RIGHT} target",
    ],
    "alignment negative": [
        f"text {PROMPT} context cfg",
        f"text {PLAN.format(1)} context",
        "vae_image img0.webp context cfg",
        "vit_image img0.webp context cfg → <|im_start|>",
        f"text {WRONG} target → <|vision_start|>",
        "vae_image img1.webp target",
    ],
    "alignment positive": [
        f"text {PROMPT} context cfg",
        f"text {PLAN.format(1)} context",
        "vae_image img0.webp context cfg",
        "vit_image img0.webp context cfg → <|im_start|>",
        f"text {RIGHT} target",
    ],
}
SAMPLES = {
    "multi_turn": multi_turn(pictures=2)[0],
    "conflict negative": conflict(negative=True)[0],
    "conflict positive": conflict(negative=False)[0],
    "alignment negative": alignment(negative=True)[0],
    "alignment positive": alignment(negative=False)[0],
}


def lines(name: str, **policy: bool) -> list[list[str]]:
    return [[str(item) for item in items] for items in sequences(SAMPLES[name], Policy(**policy))]


@pytest.mark.parametrize("name", GOLDEN)
def test_the_plan_of_every_kind(name: str) -> None:
    assert lines(name) == [GOLDEN[name]]


def test_a_prefix_gets_no_stop_label_and_no_copy_for_it() -> None:
    prefix = SAMPLES["multi_turn"].model_copy(update={"complete": False})
    assert [str(i) for i in sequences(prefix, Policy())[0]] == GOLDEN["multi_turn"][:-1]
    assert lines("multi_turn", final_vit_copy=False) == [GOLDEN["multi_turn"][:-1]]


def test_guidance_flags_are_the_trainers() -> None:
    def dropped(**policy: bool) -> list[bool]:
        return ["cfg" in line.split() for line in lines("multi_turn", **policy)[0]]

    assert dropped() == [True, False, False, True, True, False, False, False]
    assert dropped(cfg_assistant_text=True) == [True, True, False, True, True, True, False, False]
    assert dropped(cfg_vit=False, cfg_vae=False, cfg_prompt=False) == [False] * 8


def test_one_sequence_a_step_keeps_the_picture_before_it_as_context() -> None:
    first, second = lines("multi_turn", per_step=True)
    assert first == GOLDEN["multi_turn"][:3]
    assert second == [f"text {PROMPT} context cfg", *GOLDEN["multi_turn"][3:]]
    (examined,) = lines("conflict negative", per_step=True)
    assert examined == [GOLDEN["conflict negative"][i] for i in (0, 2, 3, 4, 5)]
    assert lines("alignment negative", per_step=True) == [GOLDEN["alignment negative"]]


# ---- the dataset class ---------------------------------------------------------------------------------


class Bytes:
    """One token a byte, as any byte-level tokenizer needs at most; the control tokens come after."""

    special = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return list(text.encode())

    def convert_tokens_to_ids(self, token: str) -> int | None:
        return 256 + self.special.index(token) if token in self.special else None


class Square:
    def __init__(self, side: int, stride: int) -> None:
        self.side, self.stride = side, stride

    def __call__(self, picture: Any) -> torch.Tensor:
        pixels = torch.tensor(list(picture.resize((self.side, self.side)).tobytes())) / 127.5 - 1
        return pixels.reshape(self.side, self.side, 3).permute(2, 0, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_corpus(tmp_path_factory.mktemp("corpus") / "tiny") / "multi_turn")


def dataset(folder: str, **more: Any) -> TrajectoryDataset:
    return TrajectoryDataset("underpaint_multi_turn", Bytes(), Square(32, 16), Square(28, 14), [folder], **more)


def names(items: Any, count: int) -> list[tuple[int, ...]]:
    """What tells items apart: the texts."""
    return [tuple(itertools.chain(*item["text_ids_list"], [len(item["sequence_plan"])])) for item in take(items, count)]


def take(items: Any, count: int) -> list[Any]:
    return list(itertools.islice(items, count))


def test_items_are_what_the_packers_unpack(folder: str) -> None:
    for item in take(dataset(folder), 16):
        plan, ids, pictures = item["sequence_plan"], item["text_ids_list"], item["image_tensor_list"]
        assert len(ids) == sum(p["type"] == "text" for p in plan) and len(pictures) == len(plan) - len(ids)
        shapes = [28 if p["type"] == "vit_image" else 32 for p in plan if p["type"] != "text"]
        assert [t.shape for t in pictures] == [(3, side, side) for side in shapes]
        assert all(t.abs().max() <= 1 for t in pictures)
        assert item["num_tokens"] == sum(map(len, ids)) + 4 * len(pictures)
        labels = {p["special_token_label"] for p in plan if p["special_token_loss"]}
        assert {256, 257, 258} >= labels >= {257, 258}
        assert all(p["special_token_label"] is None for p in plan if not p["special_token_loss"])
        assert plan[-1]["special_token_label"] == 257 and not plan[-1]["enable_cfg"]


@pytest.mark.parametrize("policy", [{}, {"per_step": True}])
def test_it_resumes_after_the_item_that_was_used_last(folder: str, policy: dict[str, bool]) -> None:
    more = {"policy": policy, "shuffle": 5}
    whole = names(dataset(folder, **more), 60)
    for used in (1, 2, 7, 31):
        last = take(dataset(folder, **more), used)[-1]["data_indexes"]
        assert last["worker_id"] == 0 and last["dataset_name"] == "underpaint_multi_turn"
        by_status = dataset(folder, data_status={0: last["data_indexes"]}, **more)
        assert names(by_status, 20) == whole[used : used + 20]
        first = dataset(folder, **more)
        take(first, used)
        by_state = dataset(folder, **more)
        by_state.load_state_dict(first.state_dict())
        assert names(by_state, 20) == whole[used : used + 20]


def test_iterating_is_lazy_and_endless_and_workers_do_not_overlap(folder: str) -> None:
    data = dataset(folder, num_workers=2)
    waiting = iter(data)
    data.set_epoch(9)
    other = dataset(folder)
    other.set_epoch(9)
    assert names(waiting, 80) == names(other, 80)  # 16 samples: five epochs; the seed came after iter()
    loader = DataLoader(data, batch_size=None, num_workers=2)
    seen: dict[int, set[tuple[int, ...]]] = {0: set(), 1: set()}
    for item in take(loader, 16):
        seen[item["data_indexes"]["worker_id"]].add(tuple(itertools.chain(*item["text_ids_list"])))
    assert len(seen[0]) == len(seen[1]) > 0


def test_bad_settings_are_refused_before_anything_is_read(folder: str, tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match="2 shards for 4 ranks with 1 workers"):
        dataset(folder, world_size=4)
    with pytest.raises(ReaderError, match="1 shards for 2"):
        dataset(folder, world_size=2, num_used_data=[1])
    with pytest.raises(ValueError, match="no field 'cfg_text'"):
        dataset(folder, policy={"cfg_text": True})
    with pytest.raises(ReaderError, match="no train shards"):
        TrajectoryDataset("x", Bytes(), None, None, [str(tmp_path)])
    tokenizer = Bytes()
    tokenizer.special = ("<|im_start|>", "<|im_end|>")
    with pytest.raises(ValueError, match=r"<\|vision_start\|>.*add_special_tokens"):
        TrajectoryDataset("x", tokenizer, None, None, [folder])


def test_a_control_token_or_a_changed_picture_ends_the_run(folder: str, tmp_path: Path) -> None:
    shard = Path(folder) / "mtg-train-000000.tar"
    changes = {"control": (b"Add thing 1.", b"<|im_end|>.."), "picture": (b"VP8L", b"VP8X")}
    for name, (good, bad) in changes.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / shard.name).write_bytes(shard.read_bytes().replace(good, bad, 1))
        with pytest.raises(SampleError, match=r"mtg-\d{8}: (segments.*im_end|images.0.sha256)"):
            take(dataset(str(tmp_path / name)), 8)


def test_the_class_imports_in_a_trainers_environment() -> None:
    """With torch, but without what only building a corpus needs."""
    absent = "ray", "transformers", "diffusers", "pyarrow", "open_clip", "typer"
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import pipeline.training.bagel"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_register_enters_every_subset(folder: str) -> None:
    registry: dict[str, Any] = {}
    info: dict[str, Any] = {"t2i_pretrain": {}}
    register(registry, info, Path(folder).parent)
    assert set(registry) == {"underpaint_multi_turn", "underpaint_conflict", "underpaint_alignment"}
    assert info["underpaint_multi_turn"]["multi_turn"]["data_dir"] == folder and "t2i_pretrain" in info
    data = registry["underpaint_alignment"](
        "underpaint_alignment", Bytes(), Square(32, 16), Square(28, 14),
        data_dir_list=[info["underpaint_alignment"]["alignment"]["data_dir"]],
    )  # fmt: skip
    assert len(take(data, 3)) == 3


def test_register_enters_the_subsets_that_a_corpus_has(tmp_path: Path) -> None:
    only = write_tiny_corpus(tmp_path / "only", [multi_turn(n) for n in range(2)])
    assert list(register({}, {}, only)) == ["underpaint_multi_turn"]
    with pytest.raises(ReaderError, match="conflict: no train shards"):
        register({}, {}, only, ["conflict"])
    with pytest.raises(ReaderError, match="multi_turn: no train shards"):
        register({}, {}, tmp_path)


# ---- lengths and the packer ----------------------------------------------------------------------------


def length(items: Any, sizes: Any, pixels: Pixels, tokens: Any) -> int:
    return PlannedSequence("", "", *measured(items, sizes, tokens)).packable(pixels).length


def test_sizes_are_those_of_bagels_transform() -> None:
    assert Resize(16, 512, 512).size(64, 64) == Resize(16, 512, 512).size(1024, 1024) == (512, 512)
    assert Resize(14, 518, 224).size(1024, 1024) == (518, 518) and Resize(14, 518, 224).size(64, 64) == (224, 224)
    assert Resize(16, 1024, 512).size(2048, 1024) == (1024, 512)


@pytest.mark.parametrize(
    ("px", "vit", "one", "five"),
    [(512, 518, 2608, 16680), (512, 224, 1495, 11115), (768, 518, 3888, 28200), (1024, 980, 9211, 61983)],
)
def test_lengths_of_one_and_of_five_pictures(px: int, vit: int, one: int, five: int) -> None:
    """Measured with BAGEL's own transforms: prompt of 115 tokens, first plan of 92, later ones of 93."""
    tokens = {PROMPT: 115, PLAN.format(1): 92}
    for pictures, expected in ((1, one), (5, five)):
        (items,) = sequences(multi_turn(pictures=pictures)[0], Policy())
        sizes = {f"img{i}.webp": (1024, 1024) for i in range(pictures)}
        assert length(items, sizes, Pixels.of(px, vit), lambda text: tokens.get(text, 93)) == expected


def test_lengths_are_what_the_dataset_hands_over(folder: str) -> None:
    samples = [s for s, _ in corpus() if s.subset == "multi_turn" and s.split == "train"]
    pixels, expected = Pixels(Resize(16, 32, 32), Resize(14, 28, 28)), []
    for sample in samples:
        (items,) = sequences(sample, Policy())
        sizes = {p.name: (p.width, p.height) for p in sample.images}
        expected.append(length(items, sizes, pixels, byte_tokens))
    handed = [i["num_tokens"] + 2 * len(i["sequence_plan"]) for i in take(dataset(folder), len(samples))]
    assert sorted(handed) == sorted(expected)


def packables(**lengths: int) -> list[Packable]:
    return [Packable(kind, ((length, 0.0),)) for kind, length in lengths.items()]


def test_what_a_setting_drops_is_counted_by_kind() -> None:
    group = Group(packables(two=6127, three=9645, four=13163, five=16680), 1.0)
    stock, tight, ours = (
        simulate([group], p, 300) for p in (BAGEL_DEFAULTS, Packing(33000, 33000, 33000), RECOMMENDED)
    )
    for out in (stock, tight, ours):
        assert out.drawn == out.trained + out.too_long + out.lost + out.waiting
        assert len(out.lengths) == 300
    assert stock.too_long.keys() == {"five"} and not stock.trained["five"]
    assert not tight.too_long and not ours.too_long
    assert 0 < ours.share(ours.lost) < tight.share(tight.lost) < 0.5


def test_dropout_shortens_what_is_packed_but_not_what_is_compared() -> None:
    sample = Packable("a", ((60, 0.0), (40, 0.5)))
    out = simulate([Group([sample], 1.0)], Packing(100, 200, 100), 200)
    assert sample.length == 100 and set(out.lengths) == {100, 120, 160}


def test_a_setting_that_would_never_return_is_refused() -> None:
    short, long = Group(packables(short=10), 1.0), Group(packables(five=20_000), 1.0, mandatory=True)
    with pytest.raises(PackingError, match="mandatory"):
        simulate([short, long], BAGEL_DEFAULTS, 1)
    with pytest.raises(PackingError, match="no sample fits"):
        simulate([Group(packables(five=20_000), 1.0)], BAGEL_DEFAULTS, 1)
