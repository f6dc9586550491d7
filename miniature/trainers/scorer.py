"""Trains the scorer: a small CLIP in open_clip's format, with minimal edits of every scene among its negatives.

One linear head reads the cells from both picture and text embeddings. It gives both towers the same geometry far sooner
than the contrastive loss alone. At first the text tower learns to read alone. It must know which colour and noun belong
to which place in order to notice that two objects are exchanged, and a text alone costs a quarter of a pair.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip.transformer import text_global_pool
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from underpaint.miniature.loop import TrainingRun
from underpaint.miniature.measure.scorer import measure
from underpaint.miniature.minimal_edits import EDIT_KINDS, ScorerCase, minimal_edit, random_case
from underpaint.miniature.tokenizer import ids_of, train_tokenizer
from underpaint.miniature.trainers.autoencoder import pixels
from underpaint.miniature.trainers.reader import BACKGROUND_LABELS, COLOUR_LABELS, NOUN_LABELS, labels
from underpaint.miniature.trainers.speaker import Softener
from underpaint.miniature.world import SIZE, render
from underpaint.schemas.scenes.scene import PLACE, SceneGraph
from underpaint.stages.models.scorer import OpenClipScorer

WIDTH = 192  # width of the embeddings
CONTEXT_LENGTH = 96
SCENES = 24  # scenes per batch, each with EDITS_EACH minimal edits
EDITS_EACH = 3
SEEING = 1.0  # weight of the auxiliary loss
TEXTS_ALONE = 0.45  # share of the time in which only texts are learnt
TEXTS = 96  # size of a batch of texts alone
# How often each of EDIT_KINDS is drawn; "relation" (objects exchanged) is by far the hardest.
OFTEN = (1, 1, 1, 1, 4, 1, 1)


def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer trained on random scenes' descriptions."""
    rng = random.Random("scorer/tokenizer")
    return train_tokenizer([random_case(rng).text for _ in range(4000)], 420, (), CONTEXT_LENGTH, frame=True)


def config(vocab: PreTrainedTokenizerFast) -> dict[str, Any]:
    """The model's settings, in the form of open_clip's `model_cfg`."""
    return {
        "embed_dim": WIDTH,
        "vision_cfg": {"image_size": SIZE, "patch_size": 16, "width": 160, "layers": 3, "head_width": 32},
        "text_cfg": {
            "context_length": CONTEXT_LENGTH, "vocab_size": len(vocab), "width": 128, "heads": 4, "layers": 3,
            "hf_tokenizer_name": ".", "pool_type": "eos", "eos_id": vocab.eos_token_id,
        },
    }  # fmt: skip


class ScorerNet(nn.Module):
    """The CLIP model, and an auxiliary head that reads cells, which is not saved."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self.clip = open_clip.model.CLIP(
            settings["embed_dim"],
            open_clip.model.CLIPVisionCfg(**settings["vision_cfg"]),
            open_clip.model.CLIPTextCfg(**settings["text_cfg"]),
        )
        self.parts = [4 * len(NOUN_LABELS), 4 * len(COLOUR_LABELS), len(BACKGROUND_LABELS)]
        self.cells = nn.Linear(WIDTH, sum(self.parts))

    def encode_text(self, ids: Tensor) -> Tensor:
        """The same as open_clip's encode_text, but faster: the texts are cut to the length of the longest."""
        clip, n = self.clip, int((ids != 0).sum(1).max())
        x = clip.token_embedding(ids[:, :n]) + clip.positional_embedding[:n]
        x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:n, :n]))
        pooled = text_global_pool(x, ids[:, :n], "eos", eos_token_id=clip.text_eos_id)
        projected: Tensor = pooled @ clip.text_projection
        return projected

    def reading(self, embedded: Tensor, truth: Tensor) -> Tensor:
        """The loss of reading four cells and background from embeddings (N, WIDTH); `truth` as `labels`, (N, 9)."""
        noun, colour, back = self.cells(embedded).float().split(self.parts, -1)
        loss = F.cross_entropy(noun.reshape(-1, len(NOUN_LABELS)), truth[:, :4].flatten())
        loss = loss + F.cross_entropy(colour.reshape(-1, len(COLOUR_LABELS)), truth[:, 4:8].flatten())
        return loss + F.cross_entropy(back, truth[:, 8])


def _batch(rng: random.Random) -> list[ScorerCase]:
    """Scenes together with their minimal edits, without equal texts."""
    cases: dict[str, ScorerCase] = {}
    while len(cases) < SCENES * (1 + EDITS_EACH):
        case = random_case(rng)
        group = [case, *(minimal_edit(rng, case, rng.choices(EDIT_KINDS, OFTEN)[0]) for _ in range(EDITS_EACH))]
        cases |= {c.text: c for c in group if c is not None}
    return list(cases.values())[: SCENES * (1 + EDITS_EACH)]


def _told(graph: SceneGraph) -> bool:
    """Whether the text determines what is in every cell."""
    return all(PLACE in o.attributes for o in graph.objects) or sum(o.count for o in graph.objects) == 4


def train(out: Path, hours: float, resume: bool, seed: int) -> None:
    """Train the scorer for some hours and write it to `out` in 16 bit."""
    torch.manual_seed(seed)
    vocab = tokenizer()
    settings = config(vocab)
    model = ScorerNet(settings)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f}M parameters, {len(vocab)} tokens", flush=True)
    if resume and (out / "open_clip_model.safetensors").exists():  # unless a state is on disk
        model.clip.load_state_dict({k: v.float() for k, v in load_file(out / "open_clip_model.safetensors").items()})
    soften = Softener(out.parent / "painter" / "vae", share=0.25)
    run = TrainingRun("scorer", model, lr=1.5e-3, hours=hours, resume=resume, ema=0.998, warmup=200)
    rng = random.Random(f"scorer/{seed}/{run.step}")

    def evaluate() -> dict[str, float]:
        _save(model, vocab, settings, out)
        return {f.measure: f.value for f in measure(OpenClipScorer(out), 200, {}, "scorer/held out")}

    def texts_alone() -> None:
        texts = [c for c in (random_case(rng) for _ in range(TEXTS)) if _told(c.graph)]
        said = model.encode_text(ids_of(vocab, [c.text for c in texts]))
        loss = model.reading(said, torch.tensor([labels(c.graph) for c in texts]))
        run.update(loss, len(texts))
        if run.step % 50 == 0:
            print(run.step, round(run.elapsed), "texts", round(float(loss), 3), flush=True)

    while not run.over():
        if run.share < TEXTS_ALONE:
            texts_alone()
            continue
        cases = _batch(rng)
        x = torch.stack([pixels(render(c.graph, c.seed)) for c in cases])
        ids = ids_of(vocab, [c.text for c in cases])
        truth = torch.tensor([labels(c.graph) for c in cases])
        told = torch.tensor([_told(c.graph) for c in cases])
        seen, said = model.clip.encode_image(soften(x)), model.encode_text(ids)
        aux = model.reading(seen, truth) + model.reading(said[told], truth[told])
        scale = model.clip.logit_scale.exp().clamp(max=100)
        logits = scale * F.normalize(seen, dim=-1) @ F.normalize(said, dim=-1).T
        same = (truth[:, None] == truth[None]).all(-1) & ~torch.eye(len(cases), dtype=torch.bool)
        logits = logits.masked_fill(same, -1e4)  # another text that fits the same picture is no negative
        target = torch.arange(len(cases))
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        run.update(loss + SEEING * aux, len(cases))
        if run.step % 50 == 0:
            print(run.step, round(run.elapsed), round(float(loss), 3), round(float(aux), 3), flush=True)
        run.report(loss, evaluate, every=500)
    run.finish(evaluate)


def _save(model: ScorerNet, vocab: PreTrainedTokenizerFast, settings: dict[str, Any], out: Path) -> None:
    """Write a folder that open_clip can load as ``local-dir:…``."""
    out.mkdir(parents=True, exist_ok=True)
    weights = {k: v.to(torch.float16).contiguous() for k, v in model.clip.state_dict().items()}
    save_file(weights, out / "open_clip_model.safetensors")
    pictures = {"size": SIZE, "mean": [0.5] * 3, "std": [0.5] * 3}
    whole = {"model_cfg": settings, "preprocess_cfg": pictures}
    (out / "open_clip_config.json").write_text(json.dumps(whole, indent=2) + "\n")
    vocab.save_pretrained(out)
