"""Trains the painter, an editor that gets the previous picture as additional channels.

It is saved as a diffusers.StableDiffusionInstructPix2PixPipeline. The first step edits the blank canvas, so one model
both generates and edits. It learns to predict the clean picture, from latents that were encoded before. It starts as an
exact copier of the previous picture (`copier`), so that it only has to learn the edit.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInstructPix2PixPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPTextModel, PreTrainedTokenizerBase

from underpaint.miniature.edits import EditCase, random_edit
from underpaint.miniature.loop import TrainingRun
from underpaint.miniature.measure.painter import paint_cases
from underpaint.miniature.scenes import HeldOut
from underpaint.miniature.tokenizer import ids_of
from underpaint.miniature.trainers import reader as independent
from underpaint.miniature.trainers.autoencoder import pixels
from underpaint.miniature.trainers.reader import COLOUR_LABELS, NOUN_LABELS
from underpaint.miniature.world import SIZE, blank, render
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.models.painter import DiffusersPainter

BATCH = 32
POOL = 6_000  # number of pairs encoded before training starts
FRESH = 150  # after so many steps 500 pairs are replaced; otherwise a painter learns the edits by heart
STEPS = 3
SAMPLING = 0.75  # share of training times that occur in sampling; the others are drawn from all times
WORN = 0.15  # share of previous pictures that went through the autoencoder before, as a painter's own drafts do
STALE = 0.04  # noise on the previous picture's latents
FINDING = 0.02  # weight of the auxiliary losses
SHARP = 0.1  # weight of the absolute error, which favours exact copies, beside the squared one
CONSTANT = 32.0  # a constant in the copier's channels, in standard deviations of the latents; see `copier`


class PainterNet(nn.Module):
    """Denoiser and text encoder, trained together, and auxiliary heads, which are not saved.

    From its down blocks the denoiser must tell what each cell holds (`sees`), from its middle block which cells change
    (`edits`) and what they will hold (`plans`). The heads help because the hardest part of an edit is to find "the
    purple tree" in the picture, about which the error of the painted picture says little.
    """

    def __init__(self, unet: UNet2DConditionModel, text: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text = unet, text
        width = unet.config.block_out_channels[-1]
        self.sees, self.plans = (nn.Linear(width, len(NOUN_LABELS) + len(COLOUR_LABELS)) for _ in range(2))
        self.edits = nn.Linear(width, 1)
        self.after: dict[str, Tensor] = {}  # the last outputs of the blocks that the heads read
        unet.down_blocks[-1].register_forward_hook(self._keep("down"))
        unet.mid_block.register_forward_hook(self._keep("mid"))

    def _keep(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, out: Any) -> None:
            hidden = out[0] if isinstance(out, tuple) else out
            self.after[name] = F.adaptive_avg_pool2d(hidden, 2).flatten(2).transpose(1, 2)  # (N, 4 cells, width)

        return hook

    def finding(self, cells: Tensor) -> Tensor:
        """The loss of the heads after a forward pass; `cells` as from `_cells`, (N, 2, 8)."""
        before, after = cells.unbind(1)
        changed = (before[:, :4] != after[:, :4]) | (before[:, 4:] != after[:, 4:])
        found = self.edits(self.after["mid"]).squeeze(-1)
        loss = F.binary_cross_entropy_with_logits(found, changed.float())
        for head, name, truth in ((self.sees, "down", before), (self.plans, "mid", after)):
            noun, colour = head(self.after[name]).split([len(NOUN_LABELS), len(COLOUR_LABELS)], -1)
            loss = loss + F.cross_entropy(noun.flatten(0, 1), truth[:, :4].flatten())
            loss = loss + F.cross_entropy(colour.flatten(0, 1), truth[:, 4:].flatten())
        return loss

    def forward(self, noisy: Tensor, t: Tensor, previous: Tensor, ids: Tensor) -> Tensor:
        """The predicted clean latents; all latents are (N, 16, 8, 8), times (N,), token ids (N, L)."""
        hidden = self.text(ids).last_hidden_state
        painted: Tensor = self.unet(torch.cat([noisy, previous], 1), t, hidden).sample
        return painted


def build(width: int, scale: float) -> UNet2DConditionModel:
    """A new denoiser that copies. `width` is the text encoder's width, `scale` the autoencoder's scaling factor."""
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=32, out_channels=16, layers_per_block=1, cross_attention_dim=width,
        block_out_channels=(128, 160), down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2, attention_head_dim=4, norm_num_groups=16,
    )  # fmt: skip
    copier(unet, scale)
    return unet


@torch.no_grad()
def copier(unet: UNet2DConditionModel, scale: float) -> None:
    """Set weights so that the output is the previous picture's latents times `scale`, within 0.2%, for any text.

    The latents pass through the outermost skip connection, both unchanged and negated, since silu(x) - silu(-x) = x. A
    large constant beside them in every group turns the last normalisation into a fixed factor.
    """
    n, width, side = unet.config.out_channels, unet.conv_in.out_channels, unet.conv_in.kernel_size[0] // 2
    group = width // unet.conv_norm_out.num_groups
    pairs = (group - 2) // 2  # latents a group; its last two channels are the constant
    start = width - group * -(-n // pairs)
    outer = unet.up_blocks[-1]
    skip, added = outer.resnets[-1].conv_shortcut, (outer.resnets[-1].conv2, outer.attentions[-1].proj_out)
    for layer in (skip, *added):
        layer.weight[start:], layer.bias[start:] = 0, 0
    unet.conv_in.weight[-n:], unet.conv_in.bias[-n:] = 0, 0
    unet.conv_norm_out.weight[start:], unet.conv_norm_out.bias[start:] = CONSTANT / (group / 2) ** 0.5, 0
    unet.conv_out.weight.zero_()
    unet.conv_out.bias.zero_()
    for i in range(n):
        unet.conv_in.weight[i - n, n + i, side, side] = scale
        block, k = divmod(i, pairs)
        for sign, channel in ((1, start + block * group + 2 * k), (-1, start + block * group + 2 * k + 1)):
            skip.weight[channel, i - n] = sign
            unet.conv_out.weight[i, channel, side, side] = sign
    for last in range(start + group - 1, width, group):
        skip.bias[last - 1], skip.bias[last] = CONSTANT, -CONSTANT


def scheduler() -> DDIMScheduler:
    """The noise schedule; the model predicts the clean sample."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2", prediction_type="sample", rescale_betas_zero_snr=True,
        timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=True,
    )  # fmt: skip


@torch.no_grad()
def _encode(vae: AutoencoderKL, x: Tensor) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)  # four times as fast on a CPU, in small batches
    parts = [vae.encode(part).latent_dist.mode() for part in x.split(16)]
    return torch.cat([part.half() for part in parts])


@torch.no_grad()
def _decode(vae: AutoencoderKL, z: Tensor) -> Tensor:
    return torch.cat([vae.decode(part.float()).sample.clamp(-1, 1) for part in z.split(16)])


def _pool(
    vae: AutoencoderKL, words: PreTrainedTokenizerBase, rng: random.Random, n: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Latents before and after, token ids and cells of `n` random edits; latents are unscaled, as in the pipeline."""
    before, after, texts, cells = [], [], [], []
    for start in range(0, n, 512):
        cases = [(random_edit(rng), rng.randrange(1 << 30)) for _ in range(min(512, n - start))]
        old = torch.stack([pixels(render(c.before, s) if c.before else blank()) for c, s in cases])
        new = torch.stack([pixels(render(c.after, s)) for c, s in cases])
        for trips in range(3):  # of the worn pictures, a third passes once, a third twice, a third three times
            worn = slice(0, int(len(cases) * WORN * (3 - trips) / 3))
            old[worn] = _decode(vae, _encode(vae, old[worn]))
        before.append(_encode(vae, old))
        after.append(_encode(vae, new))
        texts += [c.instruction for c, _ in cases]
        cells += [_cells(c) for c, _ in cases]
    ids = ids_of(words, texts)
    return torch.cat(before), torch.cat(after), ids, torch.tensor(cells)


def _cells(case: EditCase) -> list[list[int]]:
    """Nouns and colours of the four cells before and after, as indices: (2, 8)."""
    return [independent.labels(scene or SceneGraph())[:8] for scene in (case.before, case.after)]


def share_right(cases: list[tuple[EditCase, int]], pictures: Tensor, eye: independent.ReaderNet) -> dict[str, float]:
    """By the independent reader: the share of edits that are wholly right, by kind, and of untouched cells kept."""
    seen = independent.read_pictures(eye, pictures)
    nothing = independent.NOUN_LABELS.index("nothing")
    found: dict[str, list[float]] = {"kept": []}
    for (case, _), got in zip(cases, seen, strict=True):
        want = torch.tensor(independent.labels(case.after))
        found.setdefault(case.kind, []).append(float((got == want).all()))
        if case.before is not None:
            old = torch.tensor(independent.labels(case.before))
            same = [i for i in range(4) if old[i] == want[i] != nothing and old[4 + i] == want[4 + i]]
            found["kept"] += [float(got[i] == want[i] and got[4 + i] == want[4 + i]) for i in same]
    return {k: sum(v) / max(1, len(v)) for k, v in sorted(found.items())}


def _times(n: int) -> Tensor:
    """Random training times (n,), mostly those that sampling with STEPS steps uses, since the model is small."""
    plan = scheduler()
    plan.set_timesteps(STEPS)
    return torch.where(torch.rand(n) < SAMPLING, plan.timesteps[torch.randint(STEPS, (n,))], torch.randint(1000, (n,)))


def train(out: Path, hours: float, resume: bool, seed: int) -> None:
    """Train the painter for some hours and write it to `out` in 16 bit; needs autoencoder, wording and reader."""
    torch.manual_seed(seed)
    parts = out.parent
    fresh = (parts / "autoencoder").exists()  # the repository has them only inside the painter
    vae = AutoencoderKL.from_pretrained(parts / "autoencoder" if fresh else out / "vae").float().eval()
    vae.to(memory_format=torch.channels_last)
    words = AutoTokenizer.from_pretrained(parts / "wording" if fresh else out / "tokenizer")
    text = CLIPTextModel.from_pretrained(parts / "wording" if fresh else out / "text_encoder").float()
    unet = build(text.config.hidden_size, vae.config.scaling_factor)
    if resume and (out / "unet").exists():  # a state on disk, if there is one, replaces these weights later
        unet = UNet2DConditionModel.from_pretrained(out / "unet").float()
    model = PainterNet(unet, text)
    run = TrainingRun("painter", model, lr=7e-4 if resume else 1e-3, hours=hours, resume=resume, ema=0.998, warmup=200)
    draw = random.Random(f"painter/{seed}/{run.step}")
    before, after, ids, cells = _pool(vae, words, draw, POOL)
    print(f"{POOL} pairs encoded; {sum(p.numel() for p in model.parameters()) / 1e6:.1f}M parameters", flush=True)
    alphas = scheduler().alphas_cumprod
    eye = independent.load(parts / "reader")
    rng = HeldOut("painter/held out")
    cases = [(random_edit(rng), rng.randrange(1 << 30)) for _ in range(256)]

    def evaluate() -> dict[str, float]:
        _save(model, vae, words, out)
        painted = paint_cases(DiffusersPainter(out, size=SIZE, steps=STEPS, batch=32), cases)
        return share_right(cases, torch.stack([pixels(p) for p in painted]), eye)

    while not run.over():
        if run.step % FRESH == FRESH - 1:
            part = slice(start := run.step // FRESH * 500 % POOL, start + 500)
            before[part], after[part], ids[part], cells[part] = _pool(vae, words, draw, 500)
        pick = torch.randint(POOL, (BATCH,))
        previous, clean, tokens = before[pick].float(), after[pick].float(), ids[pick]
        x = clean * vae.config.scaling_factor
        previous = previous + STALE * torch.rand(BATCH, 1, 1, 1) * torch.randn_like(previous)
        t = _times(BATCH)
        a = alphas[t].view(-1, 1, 1, 1)
        noisy = a.sqrt() * x + (1 - a).sqrt() * torch.randn_like(x)
        error = model(noisy, t, previous, tokens) - x  # in 32 bit, which is faster here than bfloat16
        loss = (error.square() + SHARP * error.abs()).mean()
        finding = model.finding(cells[pick])
        run.update(loss + FINDING * finding, BATCH)
        if run.step % 100 == 0:
            print(run.step, round(float(loss), 4), round(float(finding), 3), flush=True)
        run.report(loss, evaluate, every=1000)
    run.finish(evaluate)


def _save(model: PainterNet, vae: AutoencoderKL, words: PreTrainedTokenizerBase, out: Path) -> None:
    """Write copies of the parts as a pipeline in 16 bit; training goes on in 32 bit."""
    import copy

    unet, text, autoencoder = (copy.deepcopy(m).to(torch.float16) for m in (model.unet, model.text, vae))
    pipe = StableDiffusionInstructPix2PixPipeline(
        vae=autoencoder, text_encoder=text, tokenizer=words, unet=unet, scheduler=scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.save_pretrained(out, safe_serialization=True)
