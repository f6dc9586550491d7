"""Trains byte-level BPE tokenizers on the texts that their model will read; frequent words become one token."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast


def train_tokenizer(
    texts: Iterable[str], size: int, special: tuple[str, ...], max_length: int, frame: bool
) -> PreTrainedTokenizerFast:
    """Train a tokenizer of `size` tokens. `special` tokens get low ids, "</s>" the highest (CLIP pools at that id).

    With `frame`, every text is encoded as ``<s> … </s>``.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - 1, special_tokens=["<pad>", "<s>", *special], min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(["</s>"])
    if frame:
        ids = [(t, tokenizer.token_to_id(t)) for t in ("<s>", "</s>")]
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        model_max_length=max_length, padding_side="right",
    )  # fmt: skip


def ids_of(vocab: PreTrainedTokenizerBase, texts: list[str]) -> Tensor:
    """Token ids of texts, padded or cut to the tokenizer's length: int64 (N, length)."""
    ids: Tensor = vocab(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    return ids
