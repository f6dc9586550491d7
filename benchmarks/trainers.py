"""Imports BAGEL's and NeMo AutoModel's own packers from a checkout, on CPU and without weights.

No code of either is in this project; both are Apache-2.0. A process can import only one of them, since BAGEL's package
has the general name `data`.
"""

from __future__ import annotations

import copy
import importlib
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import underpaint.stages.models.torchvision_compat  # noqa: F401  (both import torchvision)
from underpaint.pipeline.training.packing import DROPOUT, Packing

_BAGEL = ("dataset_base", "dataset_info", "data_utils")
_AUTOMODEL = ("packing", "datasets", "utils")
CONTROL = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")


class ByteTokenizer:
    """One token per byte, then the control tokens; it has all that both repositories' `add_special_tokens` uses."""

    special_tokens_map: Mapping[str, Any] = {"additional_special_tokens": list(CONTROL)}

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """The UTF-8 bytes of a text."""
        return list(text.encode())

    def decode(self, tokens: list[int]) -> str:
        """The text of UTF-8 bytes."""
        return bytes(tokens).decode()

    def convert_tokens_to_ids(self, token: str) -> int:
        """The id of a control token, from 256."""
        return 256 + CONTROL.index(token)

    def add_tokens(self, tokens: list[str]) -> int:
        """Add nothing, since all control tokens are there; returns their number."""
        return len(tokens)


def tokenizer_of(folder: Path | None) -> Any:
    """A Hugging Face tokenizer from `folder`/tokenizer.json, or `ByteTokenizer`."""
    if folder is None:
        return ByteTokenizer()
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))


@dataclass(frozen=True)
class Trainer:
    """A trainer's code: the modules of its repository that packing uses."""

    name: str
    registry: dict[str, Any]
    info: dict[str, Any]  # BAGEL's table of paths; NeMo has none, but is given one
    base: Any  # the module of PackedDataset
    utils: Any

    def special_tokens(self, tokenizer: Any) -> dict[str, int]:
        """The ids of the control tokens, which the trainer adds to the tokenizer."""
        tokens: dict[str, int] = self.utils.add_special_tokens(tokenizer)[1]
        return tokens

    def packs(self, packer: Any, seed: int) -> Iterator[dict[str, Any]]:
        """A packer's packs, seeded as the trainer seeds them."""
        random.seed(seed)
        np.random.seed(seed)
        return iter(packer)


@dataclass(frozen=True)
class Setup:
    """All that is needed to make a packer."""

    trainer: Trainer
    groups: Mapping[str, Any]
    info: Mapping[str, Any]
    tokenizer: Any
    packing: Packing
    seed: int
    use_flex: bool

    def packer(self, data_status: Any = None, num_workers: int = 1) -> Any:
        """A PackedDataset over `groups` (as in the trainer's YAML), made as the trainer makes it."""
        base = self.trainer.base
        rates = {f"{kind.split('_')[0]}_cond_dropout_prob": rate for kind, rate in DROPOUT.items()}
        config = base.DataConfig(copy.deepcopy(dict(self.groups)), max_latent_size=64, **rates)
        nemo = {"dataset_info": self.info, "global_seed": self.seed} if self.trainer.name == "automodel" else {}
        packed = base.PackedDataset(
            config, self.tokenizer, self.trainer.special_tokens(self.tokenizer), local_rank=0, world_size=1,
            num_workers=num_workers, use_flex=self.use_flex, data_status=data_status, **vars(self.packing), **nemo,
        )  # fmt: skip
        packed.set_epoch(self.seed)
        return packed


def load(name: str, repo: Path) -> Trainer:
    """Import a trainer, "bagel" or "automodel", from its checkout. Raises ImportError where it is not theirs."""
    for unused in ("cv2", "decord"):  # BAGEL's package imports these, but does not need them here
        if unused not in sys.modules:
            stub = ModuleType(unused)
            stub.__spec__ = ModuleSpec(unused, None)
            sys.modules[unused] = stub
    if name == "bagel":
        sys.path.insert(0, str(repo))
        base, tables, utils = (importlib.import_module(f"data.{n}") for n in _BAGEL)
        return Trainer(name, tables.DATASET_REGISTRY, tables.DATASET_INFO, base, utils)
    package = ""
    for part in ("nemo_automodel", "components", "datasets"):  # stubs: each __init__ imports all of NeMo
        package = f"{package}.{part}".strip(".")
        parent = ModuleType(package)
        parent.__path__ = [str(repo / package.replace(".", "/"))]
        sys.modules[package] = parent
    base, tables, utils = (importlib.import_module(f"{package}.multimodal.{n}") for n in _AUTOMODEL)
    return Trainer(name, tables.DATASET_REGISTRY, {}, base, utils)
