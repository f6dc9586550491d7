"""Checks of every pack that a trainer's packer makes from our samples. Each raises AssertionError where it fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

Pack = Mapping[str, Any]
Tokens = Mapping[str, int]  # bos_token_id, eos_token_id, start_of_image, end_of_image


def positions_are_used_once(pack: Pack, tokens: Tokens) -> None:
    """Text, VAE and ViT tokens together use the positions 0 … L-1, each exactly once."""
    names = ("packed_text_indexes", "packed_vae_token_indexes", "packed_vit_token_indexes")
    used = torch.cat([pack[name] for name in names if name in pack])
    assert torch.equal(used.sort().values, torch.arange(pack["sequence_length"]))


def targets_are_noised_and_context_is_clean(pack: Pack, tokens: Tokens) -> None:
    """A timestep is finite exactly where the flow-matching loss is computed, on which the model relies."""
    times = pack["packed_timesteps"]
    assert len(times) == len(pack["packed_vae_token_indexes"]) == len(pack["packed_latent_position_ids"])
    assert torch.equal(pack["packed_vae_token_indexes"][times.isfinite()], pack["mse_loss_indexes"])
    assert (times[~times.isfinite()] == float("-inf")).all()


def text_labels_are_the_next_token(pack: Pack, tokens: Tokens) -> None:
    """Cross-entropy is computed only at text tokens; inside a text the label is the next token."""
    at = _tokens_by_position(pack)
    for place, label in _labels(pack):
        assert place in at
        if at[place] not in _closing(tokens):
            assert at[place + 1] == label


def control_labels_announce_what_follows(pack: Pack, tokens: Tokens) -> None:
    """A label at a closing token is the opening token of the next item, or the stop token at a sample's end."""
    at, ends = _tokens_by_position(pack), _sample_ends(pack)
    for place, label in _labels(pack):
        if at[place] in _closing(tokens):
            stop = at[place] == tokens["end_of_image"] and label == tokens["eos_token_id"]
            assert (place + 1 in ends) if stop else (place + 1 not in ends and at[place + 1] == label)


def there_is_something_to_see_and_to_paint(pack: Pack, tokens: Tokens) -> None:
    """A pack has a ViT token and a target picture; without either, BAGEL's model crashes (Bagel#137, #69)."""
    assert len(pack["packed_vit_tokens"]) and len(pack["mse_loss_indexes"])


def splits_fill_the_pack(pack: Pack, tokens: Tokens) -> None:
    """The lengths of attention splits sum to the pack's length, or with flex attention to its padded length."""
    if "split_lens" in pack:
        assert sum(pack["split_lens"]) == sum(pack["sample_lens"]) >= pack["sequence_length"]
        assert len(pack["split_lens"]) == len(pack["attn_modes"])
        assert set(pack["attn_modes"]) <= {"causal", "full", "noise"}
    else:
        assert [len(mask) for mask in pack["nested_attention_masks"]] == pack["sample_lens"]
        assert sum(pack["sample_lens"]) == pack["sequence_length"]


CHECKS = (
    positions_are_used_once,
    targets_are_noised_and_context_is_clean,
    text_labels_are_the_next_token,
    control_labels_announce_what_follows,
    there_is_something_to_see_and_to_paint,
    splits_fill_the_pack,
)


def control_labels(pack: Pack, tokens: Tokens) -> Counter[str]:
    """How many labels say that a picture follows, a text follows, or the trajectory ends."""
    names = {tokens["start_of_image"]: "picture", tokens["bos_token_id"]: "text", tokens["eos_token_id"]: "stop"}
    at = _tokens_by_position(pack)
    return Counter(names[label] for place, label in _labels(pack) if at[place] in _closing(tokens))


def target_texts(pack: Pack, tokens: Tokens) -> list[list[int]]:
    """The tokens of every text that carries loss."""
    at, texts = _tokens_by_position(pack), list[list[int]]()
    for place, label in _labels(pack):
        if at[place] == tokens["bos_token_id"]:
            texts.append([])
        if at[place] not in _closing(tokens) and label != tokens["eos_token_id"]:
            texts[-1].append(label)
    return texts


def _tokens_by_position(pack: Pack) -> dict[int, int]:
    return dict(zip(pack["packed_text_indexes"].tolist(), pack["packed_text_ids"].tolist(), strict=True))


def _labels(pack: Pack) -> list[tuple[int, int]]:
    return list(zip(pack["ce_loss_indexes"].tolist(), pack["packed_label_ids"].tolist(), strict=True))


def _closing(tokens: Tokens) -> tuple[int, int]:
    return tokens["eos_token_id"], tokens["end_of_image"]


def _sample_ends(pack: Pack) -> set[int]:
    ends, total = set(), 0
    for length in pack["sample_lens"]:
        total += length
        ends.add(total)
    return ends
