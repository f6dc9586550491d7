"""What it costs to hold answers to a JSON Schema: `python -m benchmarks.structured [--words 151000] [--rows 16]`.

The vocabulary is random, of byte-level tokens as Qwen's is in size and kind; every row draws allowed tokens at random.
"""

from __future__ import annotations

import argparse
import json
import random
import time

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

import underpaint.stages.models.torchvision_compat  # noqa: F401  (before transformers imports torchvision)
from underpaint.stages.answers.critique_answer import critique_schema
from underpaint.stages.models.decoding import HeldToSchemas, schema_tokenizer


def tokenizer_of(words: int) -> Tokenizer:
    """A byte-level BPE tokenizer of so many tokens, each merged from two earlier ones, and "</s>"."""
    rng, tokens = random.Random(0), sorted(pre_tokenizers.ByteLevel.alphabet())
    known, merges = {token: i for i, token in enumerate(tokens)}, []
    while len(known) < words - 1:
        a, b = rng.choice(tokens), rng.choice(tokens)
        if a + b not in known and len(a + b) < 12:
            known[a + b] = len(known)
            tokens.append(a + b)
            merges.append((a, b))
    made = Tokenizer(models.BPE(vocab=known, merges=merges))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.add_special_tokens(["</s>"])
    return made


def measure(words: int, rows: int, tokens: int) -> dict[str, float]:
    """Seconds to prepare the tokenizer and a batch's schemas, milliseconds a token of the batch."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer_of(words), eos_token="</s>")
    generator = torch.Generator().manual_seed(0)
    start = time.perf_counter()
    prepared = schema_tokenizer(tokenizer, words, [words - 1])
    once = time.perf_counter() - start
    start = time.perf_counter()
    held = HeldToSchemas(prepared, [critique_schema()] * rows)
    batch = time.perf_counter() - start
    ids, spent = torch.zeros(rows, 1, dtype=torch.long), 0.0
    for _ in range(tokens):
        scores = torch.rand(rows, words, generator=generator)
        start = time.perf_counter()
        scores = held(ids, scores)
        spent += time.perf_counter() - start
        ids = torch.cat([ids, scores.argmax(-1, keepdim=True)], 1)
    return {
        "tokenizer, once a model, s": round(once, 2), "schemas, a batch, s": round(batch, 3),
        "a token of the batch, ms": round(1000 * spent / tokens, 2),
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=151_000)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=200)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=1))
