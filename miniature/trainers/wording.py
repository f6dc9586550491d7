"""Trains the painter's text encoder to understand instructions, before it sees any picture.

Seven queries read the encoder's tokens, as the painter's cross-attention will: what each cell will hold, what is to be
changed, into what, and on which background. It learns from texts alone, so at thousands of samples per second.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from underpaint.miniature.edits import EditCase, random_edit
from underpaint.miniature.loop import TrainingRun
from underpaint.miniature.scenes import HeldOut
from underpaint.miniature.tokenizer import ids_of, train_tokenizer
from underpaint.miniature.trainers.reader import BACKGROUND_LABELS, COLOUR_LABELS, NOUN_LABELS
from underpaint.miniature.world import CELLS, cell_layout, vocabulary
from underpaint.schemas.scenes.edit import Op
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import PLACE, SceneObject

LENGTH = 48  # tokens of the painter's text
WIDTH = 160
OPS = list(Op)


def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer trained on random instructions and descriptions."""
    rng = random.Random("wording/tokenizer")
    cases = [random_edit(rng) for _ in range(6000)]
    texts = [c.instruction for c in cases] + [describe(c.after, vocabulary()) for c in cases]
    return train_tokenizer(texts, 480, (), LENGTH, frame=True)


def build(vocab: PreTrainedTokenizerFast) -> CLIPTextModel:
    """A new text encoder for a vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocab), hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=3,
            num_attention_heads=5, max_position_embeddings=LENGTH, projection_dim=WIDTH, hidden_act="gelu",
            bos_token_id=vocab.bos_token_id, eos_token_id=vocab.eos_token_id, pad_token_id=vocab.pad_token_id,
        )
    )  # fmt: skip


class Probe(nn.Module):
    """The encoder and the seven queries: for four cells, the target, the new object, and the whole picture."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.queries = nn.Parameter(torch.randn(7, WIDTH) * 0.5)
        self.attention = nn.MultiheadAttention(WIDTH, 5, batch_first=True)
        self.noun, self.colour = nn.Linear(WIDTH, len(NOUN_LABELS)), nn.Linear(WIDTH, len(COLOUR_LABELS))
        self.whole = nn.Linear(WIDTH, len(BACKGROUND_LABELS) + len(OPS) + 5)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Token ids (N, L) → logits of nouns and colours (N, 6, ·), and of background, op and count (N, ·)."""
        tokens = self.encoder(ids).last_hidden_state
        h = self.queries + self.attention(self.queries.expand(len(ids), -1, -1), tokens, tokens)[0]
        whole = self.whole(h[:, 6]).split([len(BACKGROUND_LABELS), len(OPS), 5], 1)
        return self.noun(h[:, :6]), self.colour(h[:, :6]), list(whole)


def truth(case: EditCase) -> list[int]:
    """The right answer as indices: six nouns, six colours, background, op, count.

    A cell that the text does not name has the noun "nothing".
    """
    cells: list[SceneObject | None] = [None] * 6
    edit, named = case.edit, []
    if case.kind == "background":
        pass  # the text names no object
    elif edit.op is Op.PAINT:
        named = list(case.after.objects)
    elif edit.node is not None:
        cells[5] = edit.node
        named = [edit.node] if edit.op is Op.ADD else []
    if edit.target and case.before is not None:
        cells[4] = case.before.node(edit.target)
    layout = cell_layout(case.after)
    for node in named:
        if PLACE in node.attributes or node.count == 4:
            for cell in layout[node.id]:
                cells[list(CELLS).index(cell)] = node
    nouns = [NOUN_LABELS.index(o.noun if o else "nothing") for o in cells]
    colours = [COLOUR_LABELS.index(o.attributes["colour"] if o else "none") for o in cells]
    back = case.after.background if edit.op is Op.PAINT else "blank"
    count = max((o.count for o in named), default=0)
    return [*nouns, *colours, BACKGROUND_LABELS.index(back), OPS.index(edit.op), count]


def train(out: Path, hours: float, resume: bool, seed: int) -> None:
    """Train the encoder for some hours and write it with its tokenizer to `out`."""
    torch.manual_seed(seed)
    words = tokenizer()
    model = Probe(build(words))
    run = TrainingRun("wording", model, lr=1.5e-3, hours=hours, resume=resume, ema=0.998)
    rng = random.Random(f"wording/{seed}/{run.step}")

    def batch(draw: random.Random, n: int) -> tuple[Tensor, Tensor]:
        cases = [random_edit(draw) for _ in range(n)]
        return ids_of(words, [c.instruction for c in cases]), torch.tensor([truth(c) for c in cases])

    held_out = batch(HeldOut("wording/held out"), 1000)

    def evaluate() -> dict[str, float]:
        noun, colour, whole = model(held_out[0])
        guess = torch.cat([noun.argmax(2), colour.argmax(2), *(w.argmax(1, keepdim=True) for w in whole)], 1)
        return {"exact": float((guess == held_out[1]).all(1).float().mean())}

    while not run.over():
        ids, y = batch(rng, 128)
        noun, colour, whole = model(ids)
        loss = F.cross_entropy(noun.flatten(0, 1), y[:, :6].flatten())
        loss = loss + F.cross_entropy(colour.flatten(0, 1), y[:, 6:12].flatten())
        loss = loss + sum(F.cross_entropy(w, y[:, 12 + i]) for i, w in enumerate(whole)) / 3
        run.update(loss, 128)
        run.report(loss, evaluate, every=200)
    run.finish(evaluate)
    model.encoder.save_pretrained(out)
    words.save_pretrained(out)
