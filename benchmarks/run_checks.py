"""Checks of a packer over several packs: texts come back, a run resumes, workers share the shards."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import DataLoader

from benchmarks.pack_checks import target_texts
from benchmarks.trainers import Setup
from underpaint.pipeline.training.sequence import Policy, sequences
from underpaint.schemas.corpus.reader import Reader

PACKS = 3  # enough for the packer to buffer and drop something


def target_texts_are_the_corpus_own(setup: Setup) -> bool:
    """Whether every text with loss in a pack is a target of the corpus, token by token."""
    shards = [s for group in setup.packer().grouped_datasets for s in group.shards]
    policy = Policy(**next(iter(setup.groups.values()))["policy"])
    known = {
        tuple(setup.tokenizer.encode(item.content))
        for example in Reader(shards, seed=None)
        for items in sequences(example.sample, policy)
        for item in items
        if item.kind == "text" and item.loss
    }
    tokens = setup.trainer.special_tokens(setup.tokenizer)
    packs = _take(setup, setup.packer())
    return all(tuple(text) in known for pack in packs for text in target_texts(pack, tokens))


def data_status_resumes_after_the_last_sample(setup: Setup) -> bool:
    """Whether a new packer resumes from the saved `data_indexes` of the samples used, as in BAGEL's loop."""
    status: dict[str, dict[int, Any]] = {}
    for pack in _take(setup, setup.packer()):
        for item in pack["batch_data_indexes"]:
            status.setdefault(item["dataset_name"], {})[item["worker_id"]] = item["data_indexes"]
    fresh, resumed = setup.packer().grouped_datasets, setup.packer(data_status=status).grouped_datasets
    for before, after in zip(fresh, resumed, strict=True):
        last = status.get(before.dataset_name, {}).get(0)
        items = iter(before)
        while last is not None and next(items)["data_indexes"]["data_indexes"] != last:
            pass
        expected, found = next(items), next(iter(after))
        if expected["data_indexes"] != found["data_indexes"] or expected["text_ids_list"] != found["text_ids_list"]:
            return False
    return True


def state_dict_resumes_with_the_same_packs(setup: Setup) -> bool:
    """Whether NeMo's packer, restored with its buffer, random state and our position, gives the same next packs."""
    first, second = setup.packer(), setup.packer()
    running = setup.trainer.packs(first, setup.seed)
    list(itertools.islice(running, PACKS))
    second.load_state_dict(first.state_dict())
    expected = list(itertools.islice(running, PACKS))
    found = list(itertools.islice(setup.trainer.packs(second, setup.seed), PACKS))
    names = ("packed_text_ids", "packed_timesteps", "padded_images", "packed_label_ids")
    return all(torch.equal(a[n], b[n]) for a, b in zip(expected, found, strict=True) for n in names)


def two_workers_pack_both(setup: Setup) -> bool:
    """Whether both forked workers of a DataLoader give packs, and no pack mixes samples of both."""
    loader = DataLoader(setup.packer(num_workers=2), batch_size=1, num_workers=2, collate_fn=_indexes)
    found = list(itertools.islice(loader, 4))
    workers = [{item["worker_id"] for item in pack} for pack in found]
    return all(len(w) == 1 for w in workers) and set().union(*workers) == {0, 1}


def run_checks(trainer: str) -> list[Callable[[Setup], bool]]:
    """The checks that apply to a trainer; BAGEL's packer has no state_dict."""
    own = [state_dict_resumes_with_the_same_packs] if trainer == "automodel" else []
    return [target_texts_are_the_corpus_own, data_status_resumes_after_the_last_sample, *own, two_workers_pack_both]


def _take(setup: Setup, packer: Any) -> list[Any]:
    return list(itertools.islice(setup.trainer.packs(packer, setup.seed), PACKS))


def _indexes(batch: list[Any]) -> Any:
    return batch[0]["batch_data_indexes"]
