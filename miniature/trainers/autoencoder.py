"""Trains the painter's autoencoder: 64×64 pictures to 8×8 latents of 16 channels and back (diffusers.AutoencoderKL)."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from underpaint.miniature.loop import TrainingRun
from underpaint.miniature.scenes import HeldOut, random_scene
from underpaint.miniature.world import SIZE, background, render
from underpaint.schemas.scenes.scene import SceneGraph

NOISE = 0.08  # added to the latents in training, in place of sampling
BATCH = 32


def build() -> AutoencoderKL:
    """A new autoencoder, whose residual branches start at zero."""
    model = AutoencoderKL(
        block_out_channels=(24, 48, 64, 96), down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4, latent_channels=16, layers_per_block=1, norm_num_groups=1,
        sample_size=SIZE, force_upcast=False,
    )  # fmt: skip
    for name, module in model.named_modules():
        if name.endswith("conv2"):  # residual branches start at zero
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return model


def pixels(picture: object) -> Tensor:
    """A PIL picture as a float tensor (3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.asarray(picture, np.float32).copy()).permute(2, 0, 1) / 127.5 - 1


def _batch(rng: random.Random, n: int) -> tuple[Tensor, Tensor]:
    """Pictures (n, 3, H, W) and weights of pixels (n, 1, H, W): objects count more than the background."""
    pictures, weights = [], []
    for i in range(n):
        graph = random_scene(rng, relations=False) if i % 10 else SceneGraph(background=rng.choice(["", "sand"]))
        full = pixels(render(graph, rng.randrange(1 << 30)))
        empty = pixels(background(graph.background).resize((SIZE, SIZE)))
        pictures.append(full)
        weights.append(1 + 3 * ((full - empty).abs().amax(0, keepdim=True) > 0.05).float())
    return torch.stack(pictures), torch.stack(weights)


def train(out: Path, hours: float, resume: bool, seed: int) -> None:
    """Train the autoencoder for some hours and write it to `out` in 16 bit."""
    torch.manual_seed(seed)
    model = build().to(memory_format=torch.channels_last)
    run = TrainingRun("autoencoder", model, lr=2e-3, hours=hours, resume=resume, ema=0.998)
    rng = random.Random(f"autoencoder/{seed}/{run.step}")
    held_out = _batch(HeldOut("autoencoder/held out"), 200)[0]

    def evaluate() -> dict[str, float]:
        back = torch.cat([model(x).sample for x in held_out.split(50)])
        mse = ((back.clamp(-1, 1) - held_out) / 2).square().mean((1, 2, 3))
        return {"psnr": float((-10 * mse.log10()).mean())}

    while not run.over():
        x, weight = _batch(rng, BATCH)
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            z = model.encode(x).latent_dist.mode()
            y = model.decode(z + NOISE * torch.randn_like(z)).sample
        error = (y.float() - x).abs()
        loss = (weight * (error.square() + 0.3 * error)).mean() + 1e-4 * z.float().square().mean()
        run.update(loss, BATCH)
        run.report(loss, evaluate, every=200)
    run.finish(evaluate)
    model.eval()
    with torch.no_grad():
        z = torch.cat([model.encode(x).latent_dist.mode() for x in held_out.split(50)])
    model.register_to_config(scaling_factor=round(1 / float(z.std()), 4), shift_factor=0.0)
    model.to(torch.float16).save_pretrained(out, safe_serialization=True)
