"""Fine-tunes the writer on a corpus' multi-turn subset: the policy that is sampled for errors (the paper's loop).

It learns only from the shards, which it reads as any user would (shard_dialogues.py).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from underpaint.miniature.dialogues import Dialogue
from underpaint.miniature.loop import TrainingRun
from underpaint.miniature.shard_dialogues import read_dialogues
from underpaint.miniature.trainers.speaker import (
    TEXTS,
    Batch,
    SpeakerNet,
    _batch,
    _save,
    build,
    keep_memory,
    speaking,
    tokens,
)

RATE = 4e-4
REPORT = 20  # steps between two lines of the learning curve
HELD_OUT = 256  # number of dialogues from the validation shards


def writing_batches(vocab: PreTrainedTokenizerFast, dialogues: Sequence[Dialogue]) -> Iterator[Batch]:
    """Batches of requests of similar length; apart from that, in the order given."""
    turns = [(tokens(vocab, d, d.request), d) for d in dialogues]
    for start in range(0, len(turns), 8 * TEXTS):
        window = sorted(turns[start : start + 8 * TEXTS], key=lambda turn: turn[0][1].count(0.0))
        for i in range(0, len(window), TEXTS):
            yield _batch(vocab, window[i : i + TEXTS])


def _loss(model: SpeakerNet, batch: Batch) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return speaking(model, batch, None)[0]


def train(corpus: Path, base: Path, out: Path, hours: float, resume: bool, seed: int) -> None:
    """Fine-tune the speaker in `base` on `corpus` and write the policy to `out`.

    Raises ReaderError where the corpus has no multi-turn shards.
    """
    keep_memory()
    torch.manual_seed(seed)
    learnt, held_out = read_dialogues(corpus, "train"), read_dialogues(corpus, "validation")[:HELD_OUT]
    vocab = PreTrainedTokenizerFast.from_pretrained(base)
    model = SpeakerNet(build(vocab))
    model.llava.load_state_dict(LlavaForConditionalGeneration.from_pretrained(base).state_dict())
    print(f"{len(learnt)} dialogues to learn from, {len(held_out)} held out", flush=True)
    run = TrainingRun("writer", model, lr=RATE, hours=hours, resume=resume, ema=0.98, warmup=20)

    def evaluate() -> dict[str, float]:
        losses = [(float(_loss(model, b)), len(b[0])) for b in writing_batches(vocab, held_out)]
        return {"held_out_loss": sum(loss * n for loss, n in losses) / sum(n for _, n in losses)}

    run.log(**run.averaged(evaluate))
    rng = random.Random(f"writer/{seed}")
    while not run.over():
        rng.shuffle(learnt)
        for batch in writing_batches(vocab, learnt):
            loss = _loss(model, batch)
            run.update(loss, len(batch[0]))
            if run.step % REPORT == 0:
                run.log(loss=float(loss), **run.averaged(evaluate))
            if run.over():
                break
    run.finish(evaluate)
    _save(model.llava, vocab, out)
