"""Trains the speaker: one small vision-language model that is writer and judge (LlavaForConditionalGeneration).

At first its vision tower learns to read the four cells of a picture. While the model then learns to answer, an
auxiliary loss makes sure that it goes on reading.
"""

from __future__ import annotations

import ctypes
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from underpaint.miniature.dialogue_checks import grade
from underpaint.miniature.dialogues import MAKERS, Dialogue, picture_dialogue, reworded, text_dialogue, write_dialogue
from underpaint.miniature.loop import TrainingRun
from underpaint.miniature.measure.speaker import ask
from underpaint.miniature.scenes import HeldOut, random_scene
from underpaint.miniature.tokenizer import train_tokenizer
from underpaint.miniature.trainers.autoencoder import pixels
from underpaint.miniature.trainers.reader import BACKGROUND_LABELS, COLOUR_LABELS, NOUN_LABELS, _spoil, labels
from underpaint.miniature.weighed_items import WeighedItem, weighed_items
from underpaint.miniature.world import SIZE, render, vocabulary
from underpaint.schemas.scenes.scene import PLACE, SceneGraph
from underpaint.stages.models.speaker import TransformersSpeaker

PATCH = 16
SIGHT = 160  # width of the vision tower
LENGTH = 512
TEXTS, PICTURES = 48, 32  # sizes of a batch without and with pictures
WRITER_SHARE = 0.36  # share of the writer's requests among those without pictures
RARE, RARELY = ("again", "background", "place", "count"), 0.25  # rare faults of texts, and the share given to them
DECISIVE = 8.0  # weight of the token that says whether there are findings
WEIGHING = 4.0  # weight of the token that says whether an observed item is as asked
SEEING, COMPARING = 0.5, 1.0  # weights of the auxiliary losses
REWORDED = 0.2  # share of requests with a changed word
EASY = 0.6  # share of small scenes at the start; it falls to 0
VOCABULARY = 700

SPOTS = [*vocabulary().attributes[PLACE], ""]
# The values of a mark, by how many values each may have: its own and the wanted noun, colour, place and count, and the
# places of a relation's two ends.
PAIRED_SIZES = (len(NOUN_LABELS), len(COLOUR_LABELS), len(SPOTS), 5)
MARK_SIZES = [size for size in (*PAIRED_SIZES, len(SPOTS)) for _ in "ab"]
Mark = tuple[int, ...]  # whether it is wrong, then a value for each of MARK_SIZES; -1 where there is none
Turn = tuple[list[int], list[float], list[Mark]]
NO_MARK: Mark = (-1,) * (1 + len(MARK_SIZES))

# The chat template of one turn: the picture (if any), the request, and the place for the answer.
CHAT = (
    "{% for message in messages %}<{{ message['role'] }}>"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


class SpeakerNet(nn.Module):
    """The model and auxiliary heads, which are not saved.

    `eye` reads from every patch the noun and colour of its cell, and the background. At the end of an observed item's
    name, `looks` tells after three layers what it is and what is wanted; `doubt` tells after four layers whether nouns,
    colours, places and counts differ, and whether the item is wrong. The heads help because equality of two things is
    hard to learn from the verdict alone: neither thing tells anything by itself.
    """

    def __init__(self, model: LlavaForConditionalGeneration) -> None:
        super().__init__()
        self.llava = model
        self.parts = [len(NOUN_LABELS), len(COLOUR_LABELS), len(BACKGROUND_LABELS)]
        self.eye = nn.Linear(SIGHT, sum(self.parts))
        width = model.config.text_config.hidden_size
        self.looks, self.doubt = nn.Linear(width, sum(MARK_SIZES)), nn.Linear(width, len(PAIRED_SIZES) + 1)
        self.after: dict[str, Tensor] = {}  # the last outputs of the layers that the heads read
        for name, layer in (("looks", 2), ("doubt", 3)):
            model.model.language_model.layers[layer].register_forward_hook(self._keep(name))

    def _keep(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, __: Any, out: Tensor) -> None:
            self.after[name] = out

        return hook

    def comparing(self, marks: Tensor) -> Tensor:
        """The loss of `looks` and `doubt` after a forward pass; `marks` as from `tokens`."""
        here = marks[..., 0] >= 0
        if not here.any():
            return torch.zeros(())
        wrong, *looks = marks[here].unbind(-1)
        pairs = list(zip(looks[::2], looks[1::2], strict=True))[: len(PAIRED_SIZES)]
        differ = torch.stack([*(own != asked for own, asked in pairs), wrong > 0], -1).float()
        known = torch.stack([*((own >= 0) & (asked >= 0) for own, asked in pairs), wrong >= 0], -1)
        doubt = self.doubt(self.after["doubt"][here])
        loss = F.binary_cross_entropy_with_logits(doubt, differ, known.float(), reduction="sum") / len(wrong)
        for guess, truth in zip(self.looks(self.after["looks"][here]).split(MARK_SIZES, -1), looks, strict=True):
            if (truth >= 0).any():
                loss = loss + 0.25 * F.cross_entropy(guess, truth, ignore_index=-1)
        return loss / 3  # so that more heads do not outweigh the answers

    def seeing(self, x: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of reading the patches of pictures x, and the share of pictures read without an error.

        `truth` has the indices of `labels`, (N, 9).
        """
        hidden = self.llava.model.vision_tower(x, output_hidden_states=True).hidden_states[-1][:, 1:]
        noun, colour, back = self.eye(hidden.float()).split(self.parts, -1)
        side = SIZE // PATCH
        cell = torch.arange(side) // (side // 2)
        cells = (cell[:, None] * 2 + cell[None]).flatten()
        wanted = truth[:, :4][:, cells], truth[:, 4:8][:, cells], truth[:, 8:].expand(-1, side * side)
        pairs = list(zip((noun, colour, back), wanted, strict=True))
        loss = sum(F.cross_entropy(got.flatten(0, 1), want.flatten()) for got, want in pairs)
        right = [(got.argmax(-1) == want).all(1) for got, want in pairs]
        return loss, (right[0] & right[1] & right[2]).float().mean()  # type: ignore[return-value]


def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer trained on random dialogues."""
    rng = random.Random("speaker/tokenizer")
    made = [make(rng) for make in MAKERS.values() for _ in range(1500)]
    texts = [d.request for d in made] + [d.answer for d in made]
    vocab = train_tokenizer(texts, VOCABULARY, ("<image>", "<user>", "<assistant>"), LENGTH, frame=False)
    vocab.padding_side = "left"
    return vocab


def processor(vocab: PreTrainedTokenizerFast) -> LlavaProcessor:
    """The processor that turns texts and pictures into the model's inputs."""
    pictures = CLIPImageProcessor(
        size={"height": SIZE, "width": SIZE}, crop_size={"height": SIZE, "width": SIZE},
        image_mean=[0.5] * 3, image_std=[0.5] * 3, do_center_crop=False,
    )  # fmt: skip
    return LlavaProcessor(
        image_processor=pictures, tokenizer=vocab, patch_size=PATCH, vision_feature_select_strategy="default",
        chat_template=CHAT, image_token="<image>", num_additional_image_tokens=1,
    )  # fmt: skip


def build(vocab: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    """A new model for a vocabulary."""
    vision = CLIPVisionConfig(
        hidden_size=SIGHT, intermediate_size=4 * SIGHT, num_hidden_layers=3, num_attention_heads=5, image_size=SIZE,
        patch_size=PATCH, hidden_act="gelu", projection_dim=SIGHT,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=len(vocab), hidden_size=192, intermediate_size=576, num_hidden_layers=5,
        num_attention_heads=6, num_key_value_heads=6, max_position_embeddings=LENGTH,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 2000.0},
        pad_token_id=vocab.pad_token_id,
        bos_token_id=vocab.bos_token_id, eos_token_id=vocab.eos_token_id,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=vocab.get_vocab()["<image>"],
        vision_feature_layer=-1, vision_feature_select_strategy="default",
        image_seq_length=(SIZE // PATCH) ** 2, tie_word_embeddings=True,
        pad_token_id=vocab.pad_token_id, eos_token_id=vocab.eos_token_id,
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    # On a CPU the backward pass of the fused attention takes half the time of a step.
    model.set_attn_implementation("eager")
    return model


# ---- batches ------------------------------------------------------------------------------------------


class Softener:
    """Makes renders look like generated pictures: by blur and noise, or by passing them through the autoencoder."""

    def __init__(self, folder: Path, share: float = 0.3) -> None:
        there = (folder / "config.json").exists()
        self.vae = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32).eval() if there else None
        self.share = share

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        x = x.clone()
        n = int(len(x) * self.share) if self.vae else 0
        if n and self.vae:
            with torch.autocast("cpu", torch.bfloat16):
                z = self.vae.encode(x[:n]).latent_dist.mode()
                z = z + 0.25 * torch.rand(n, 1, 1, 1) * z.std() * torch.randn_like(z)
                x[:n] = self.vae.decode(z).sample.float().clamp(-1, 1)
        x[n:] = _spoil(x[n:])
        return x.clamp(-1, 1)


def tokens(vocab: PreTrainedTokenizerFast, d: Dialogue, request: str) -> Turn:
    """(ids, weights, marks) of all tokens of a turn. Weights are those in the loss, 0 before the answer.

    Marks are those of `item_ends`; other tokens have NO_MARK.
    """
    seen = "<image>" * (SIZE // PATCH) ** 2 if d.picture is not None else ""
    asked = vocab.encode(f"<user>{seen}{request}<assistant>", add_special_tokens=False)
    answer = vocab(d.answer, add_special_tokens=False, return_offsets_mapping=True)
    weight_at = {m.end(): DECISIVE for m in re.finditer(r'"findings":\[|"verdict":"', d.answer)}
    weight_at |= {m.end(): WEIGHING for m in re.finditer(r": (?=as asked|asked |not |missing|still )", d.answer)}
    weights = [max([1.0, *(w for i, w in weight_at.items() if a <= i < b)]) for a, b in answer["offset_mapping"]]
    marks = [NO_MARK] * len(answer["input_ids"])
    for end, mark in item_ends(d):
        token = next((i for i, (a, b) in enumerate(answer["offset_mapping"]) if a < end <= b), None)
        if token is not None:
            marks[token] = mark
    ids = [*asked, *answer["input_ids"], vocab.eos_token_id]
    return ids, [0.0] * len(asked) + weights + [1.0], [NO_MARK] * len(asked) + marks + [NO_MARK]


def item_ends(d: Dialogue) -> list[tuple[int, Mark]]:
    """(position in the answer where its name ends, mark) for every observed item of a critique."""
    if d.critique is None:
        return []
    ends, at = [], len('{"observed":[')
    for item, found in zip(d.critique.observed, weighed_items(d), strict=True):
        ends.append((at + 1 + len(item.rpartition(": ")[0]), _mark(found)))
        at += len(item) + 3  # the item with its quotes and comma
    return ends


def _mark(item: WeighedItem) -> Mark:
    looks = [
        (-1, -1) if x is None else (NOUN_LABELS.index(x[0] or "nothing"), COLOUR_LABELS.index(x[1] or "none"))
        for x in (item.own, item.wanted)
    ]
    places, ends = ((-1, -1) if x is None else tuple(map(SPOTS.index, x)) for x in (item.places, item.ends))
    counts = item.counts or (-1, -1)
    return int(item.wrong), *(v for pair in zip(*looks, strict=True) for v in pair), *places, *counts, *ends


Batch = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]  # ids, weights, marks, pictures, what they show


def small(rng: random.Random, make: Callable[[random.Random], Dialogue], easy: float) -> Dialogue:
    """A dialogue; a share `easy` of them is about only one or two objects, with which comparing is learnt first."""
    d = make(rng)
    if rng.random() < easy:
        while sum(o.count for o in d.prompt.objects) > 2:
            d = make(rng)
    return d


def _taught_text(rng: random.Random) -> Dialogue:
    """A text judge's dialogue; a share RARELY has one of the faults in RARE, so that these are drawn more often."""
    return text_dialogue(rng, rng.choice(RARE) if rng.random() < RARELY else None)


def batches(vocab: PreTrainedTokenizerFast, rng: random.Random, rounds: int, easy: float) -> list[Batch]:
    """Some batches without and some with pictures, each of requests of similar length."""
    makers = [write_dialogue if rng.random() < WRITER_SHARE else _taught_text for _ in range(TEXTS * rounds)]
    texts = [small(rng, make, easy) for make in makers]
    pictures = [small(rng, picture_dialogue, easy) for _ in range(PICTURES * rounds)]
    made = []
    for dialogues, size in ((texts, TEXTS), (pictures, PICTURES)):
        turns = []
        for d in dialogues:
            request = reworded(rng, d.request) if rng.random() < REWORDED else d.request
            turns.append((tokens(vocab, d, request), d))
        turns.sort(key=lambda turn: turn[0][1].count(0.0))  # not by the answer: its length tells the verdict
        made += [_batch(vocab, turns[i : i + size]) for i in range(0, len(turns), size)]
    rng.shuffle(made)
    return made


def _batch(vocab: PreTrainedTokenizerFast, turns: list[tuple[Turn, Dialogue]]) -> Batch:
    """A batch of turns, padded on the right; attention only looks back, so it never sees the padding."""
    # Lengths are rounded up to multiples of 16, since kernels are prepared once for each shape.
    longest = -(-max(len(turn[0]) for turn, _ in turns) // 16) * 16
    ids, weights, marks = (
        torch.tensor([list(turn[k]) + [empty] * (longest - len(turn[k])) for turn, _ in turns])
        for k, empty in enumerate((vocab.pad_token_id, 0.0, NO_MARK))
    )
    if turns[0][1].picture is None:
        return ids, weights, marks, None, None
    x = torch.stack([pixels(d.picture) for _, d in turns])
    return ids, weights, marks, x, torch.tensor([labels(d.shown) for _, d in turns])


def speaking(model: SpeakerNet, batch: Batch, x: Tensor | None) -> tuple[Tensor, Tensor]:
    """(loss of the answers, loss of comparing the observed items) of a batch with pictures `x`."""
    ids, weights, marks = batch[:3]
    hidden = model.llava.model(input_ids=ids, pixel_values=x, use_cache=False).last_hidden_state
    here = weights[:, 1:] > 0
    logits = model.llava.lm_head(hidden[:, :-1][here]).float()
    loss = F.cross_entropy(logits, ids[:, 1:][here], reduction="none")
    return (loss * weights[:, 1:][here]).sum() / weights[:, 1:].sum(), model.comparing(marks)


# ---- training -----------------------------------------------------------------------------------------


def _learn_to_see(model: SpeakerNet, hours: float, soften: Softener, seed: int) -> None:
    run = TrainingRun("speaker_sight", model, lr=1.5e-3, hours=hours, resume=False, ema=0.99)
    rng = random.Random(f"speaker/sight/{seed}")
    while not run.over():
        graphs = [random_scene(rng, relations=False) if rng.random() < 0.97 else SceneGraph() for _ in range(64)]
        x = soften(torch.stack([pixels(render(g, rng.randrange(1 << 30))) for g in graphs]))
        with torch.autocast("cpu", torch.bfloat16):
            loss, right = model.seeing(x, torch.tensor([labels(g) for g in graphs]))
        run.update(loss, 64)
        if run.step % 100 == 0:
            run.log(loss=float(loss), exact=float(right))
    model.load_state_dict(run.average)


def keep_memory() -> None:
    """Tell glibc to keep freed memory; to give it back and take it again would take a fifth of a step's time."""
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    libc.mallopt(-4, 0)  # M_MMAP_MAX: take large blocks from the heap, too
    libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def train(out: Path, hours: float, resume: bool, seed: int) -> None:
    """Train the speaker for some hours and write it to `out` in 16 bit."""
    keep_memory()
    torch.manual_seed(seed)
    vocab = PreTrainedTokenizerFast.from_pretrained(out) if resume else tokenizer()
    model = SpeakerNet(build(vocab))
    for layer in model.llava.model.language_model.layers:
        layer.forward = torch.compile(layer.forward, dynamic=True)  # twice as fast; hooks stay outside
    soften = Softener(out.parent / "painter" / "vae")
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f}M parameters, {len(vocab)} tokens", flush=True)
    if resume:  # start from the checkpoint; a state on disk, if there is one, replaces its weights later
        model.llava.load_state_dict(LlavaForConditionalGeneration.from_pretrained(out).state_dict())
    else:
        _learn_to_see(model, min(0.03, hours / 10), soften, seed)
    rng = random.Random(f"speaker/{seed}/{time.time() if resume else 0}")
    for batch in batches(vocab, rng, 2, 0)[:3]:  # to compile before the clock starts
        sum(speaking(model, batch, batch[3])).backward()  # type: ignore[union-attr]
    model.zero_grad()
    run = TrainingRun("speaker", model, lr=1.5e-3, hours=hours, resume=resume, ema=0.996, warmup=100)
    held_out = HeldOut("speaker/held out")
    cases = [make(held_out) for make in MAKERS.values() for _ in range(64)]

    def evaluate() -> dict[str, float]:
        _save(model.llava, vocab, out)
        right = grade(cases, ask(TransformersSpeaker(out, batch=48, max_new_tokens=200), cases))
        return {k: sum(v) / len(v) for k, v in sorted(right.items()) if "fault caught" not in k}

    start, easy = time.time(), 0.0 if resume else EASY
    while not run.over():
        for batch in batches(vocab, rng, 6, easy * max(0.0, 1 - (time.time() - start) / (hours * 3600))):
            x, truth = batch[3:]
            sight, right = torch.zeros(()), torch.zeros(())  # in 32 bit, which is faster here than bfloat16
            if x is not None and truth is not None:
                x = soften(x)
                sight, right = model.seeing(x, truth)
            loss, comparing = speaking(model, batch, x)
            run.update(loss + SEEING * sight + COMPARING * comparing, len(batch[0]))
            if run.step % 50 == 0:
                sort = "picture" if x is not None else "text"
                figures = round(float(loss), 4), round(float(comparing), 4), round(float(right), 3)
                print(run.step, round(run.elapsed), sort, *figures, flush=True)
            run.report(loss, evaluate, every=300)
            if run.over():
                break
    run.finish(evaluate)


def _save(model: LlavaForConditionalGeneration, vocab: PreTrainedTokenizerFast, out: Path) -> None:
    """Write model and processor in 16 bit."""
    half = build(vocab).to(torch.float16)
    half.load_state_dict(model.state_dict())
    half.save_pretrained(out, safe_serialization=True)
    processor(vocab).save_pretrained(out)
