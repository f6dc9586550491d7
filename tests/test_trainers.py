"""Packs of our samples by BAGEL's and NeMo AutoModel's own code, where BAGEL_REPO, AUTOMODEL_REPO name a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from factories import write_tiny_corpus

from benchmarks import pack_checks as checks

CHECKOUTS = {"bagel": ("BAGEL_REPO", "ByteDance-Seed/Bagel"), "automodel": ("AUTOMODEL_REPO", "NVIDIA-NeMo/Automodel")}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


@pytest.mark.parametrize("more", [[], ["--nested"], ["--per-step"]], ids=["flex", "nested", "per step"])
@pytest.mark.parametrize("trainer", CHECKOUTS)
def test_their_packer_packs_our_samples(tiny: Path, trainer: str, more: list[str]) -> None:
    variable, repository = CHECKOUTS[trainer]
    if not os.environ.get(variable):
        pytest.skip(f"needs a clone of {repository}, which no package index has: {variable}=<clone> runs it")
    words = ["-m", "benchmarks.packs", str(tiny), f"--{trainer}", os.environ[variable], "--packs", "12", *more]
    sizes = ["--settings", "small", "--px", "32", "--vit", "28"]
    done = subprocess.run([sys.executable, "-W", "ignore", *words, *sizes], cwd=ROOT, capture_output=True, text=True)
    report = json.loads(done.stdout[done.stdout.index("{") :])
    assert {name for name, held in report["checks"].items() if held != "held"} == set(), done.stderr
    assert done.returncode == 0 and len(report["checks"]) == (11 if trainer == "automodel" else 10)
    assert len(report["samples"]) == 5 and all(kind["trained"] for kind in report["samples"].values())
    assert set(report["control_labels"]) == {"picture", "stop", "text"}


# ---- the checks themselves -----------------------------------------------------------------------------

TOKENS = {"bos_token_id": 100, "eos_token_id": 101, "start_of_image": 102, "end_of_image": 103}


def small_pack() -> dict[str, Any]:
    """prompt "1", target text "2" → picture, target picture of one token, ViT copy of one token → stop."""
    return {
        "sequence_length": 12,
        "sample_lens": [12, 4],
        "split_lens": [3, 3, 3, 3, 4],
        "attn_modes": ["causal", "causal", "noise", "full", "causal"],
        "packed_text_ids": torch.tensor([100, 1, 101, 100, 2, 101, 102, 103, 102, 103]),
        "packed_text_indexes": torch.tensor([0, 1, 2, 3, 4, 5, 6, 8, 9, 11]),
        "packed_vae_token_indexes": torch.tensor([7]),
        "packed_latent_position_ids": torch.tensor([0]),
        "packed_timesteps": torch.tensor([0.3]),
        "mse_loss_indexes": torch.tensor([7]),
        "packed_vit_token_indexes": torch.tensor([10]),
        "packed_vit_tokens": torch.zeros(1, 588),
        "ce_loss_indexes": torch.tensor([2, 3, 4, 5, 11]),
        "packed_label_ids": torch.tensor([100, 2, 101, 102, 101]),
    }


def test_a_right_pack_passes_every_check() -> None:
    pack = small_pack()
    for check in checks.CHECKS:
        check(pack, TOKENS)
    assert checks.control_labels(pack, TOKENS) == {"text": 1, "picture": 1, "stop": 1}
    assert checks.target_texts(pack, TOKENS) == [[2]]


@pytest.mark.parametrize(
    ("check", "name", "wrong"),
    [
        (checks.positions_are_used_once, "packed_vit_token_indexes", [7]),
        (checks.targets_are_noised_and_context_is_clean, "packed_timesteps", [float("-inf")]),
        (checks.targets_are_noised_and_context_is_clean, "mse_loss_indexes", []),
        (checks.text_labels_are_the_next_token, "packed_label_ids", [100, 9, 101, 102, 101]),
        (checks.text_labels_are_the_next_token, "ce_loss_indexes", [2, 3, 4, 5, 10]),
        (checks.control_labels_announce_what_follows, "packed_label_ids", [100, 2, 101, 100, 101]),
        (checks.control_labels_announce_what_follows, "packed_label_ids", [100, 2, 101, 102, 102]),
        (checks.control_labels_announce_what_follows, "ce_loss_indexes", [2, 3, 4, 5, 8]),
        (checks.there_is_something_to_see_and_to_paint, "mse_loss_indexes", []),
        (checks.splits_fill_the_pack, "split_lens", [3, 3, 3, 3, 3]),
    ],
)
def test_a_wrong_pack_is_found(check: Callable[..., None], name: str, wrong: list[Any]) -> None:
    like = small_pack()[name]
    value = torch.tensor(wrong, dtype=like.dtype) if isinstance(like, torch.Tensor) else wrong
    with pytest.raises(AssertionError):
        check(small_pack() | {name: value}, TOKENS)
