"""The painter role, played by pipelines of diffusers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import underpaint.stages.models.torchvision_compat  # noqa: F401  (before transformers imports torchvision)
from underpaint.stages.common.roles import PaintRequest
from underpaint.stages.models.loading import device_of, dtype_of, in_batches, source

Call = Callable[["DiffusersPainter", list[PaintRequest]], dict[str, Any]]


def _pix2pix(painter: DiffusersPainter, requests: list[PaintRequest]) -> dict[str, Any]:
    """Arguments for InstructPix2Pix, which always needs a previous picture: a white canvas before the first step."""
    return {
        "image": [painter.canvas(r.previous) for r in requests],
        "guidance_scale": painter.guidance,
        "image_guidance_scale": painter.picture_guidance,
    }


def _kontext(painter: DiffusersPainter, requests: list[PaintRequest]) -> dict[str, Any]:
    """Arguments for FLUX Kontext; without `_auto_resize=False` and `max_area` its pictures have about a megapixel."""
    pictures = [painter.canvas(r.previous) for r in requests if r.previous is not None]
    return {
        "image": pictures or None,
        "height": painter.size,
        "width": painter.size,
        "max_area": painter.size**2,
        "_auto_resize": False,
        "guidance_scale": painter.guidance,
    }


CALLS: dict[str, Call] = {
    "StableDiffusionInstructPix2PixPipeline": _pix2pix,
    "FluxKontextPipeline": _kontext,
}


class DiffusersPainter:
    """Paints with the stock diffusers pipeline that the checkpoint names.

    `checkpoint` is a folder as written by `save_pretrained` (never looked up on the network) or a hub id;
    weights are read from safetensors only. `guidance` is the pipeline's `guidance_scale`, `picture_guidance`
    InstructPix2Pix's `image_guidance_scale`; 1.0 is off. `size` is the side of the pictures in pixels.

    Raises ValueError for a pipeline class it does not know and for an unknown dtype, FileNotFoundError for a
    path that is no folder, OSError where the checkpoint is incomplete.
    """

    def __init__(
        self, checkpoint: str | Path, *, revision: str | None = None, dtype: str = "float32",
        device: str = "auto", batch: int = 16, steps: int = 12, guidance: float = 1.0,
        picture_guidance: float = 1.0, size: int = 64,
    ) -> None:  # fmt: skip
        from diffusers import DiffusionPipeline
        from diffusers.utils import is_accelerate_available

        where = source(checkpoint, revision)
        kind = DiffusionPipeline.load_config(str(checkpoint), **where).get("_class_name", "")
        if kind not in CALLS:
            raise ValueError(f"{checkpoint} is a {kind or 'unknown pipeline'}; the painter supports {', '.join(CALLS)}")
        self._call = CALLS[kind]
        self.batch, self.steps, self.size = batch, steps, size
        self.guidance, self.picture_guidance = guidance, picture_guidance
        self._pipe = DiffusionPipeline.from_pretrained(
            str(checkpoint), dtype=dtype_of(dtype), use_safetensors=True,
            low_cpu_mem_usage=is_accelerate_available(), **where,
        ).to(device_of(device))  # fmt: skip
        self._pipe.set_progress_bar_config(disable=True)

    def canvas(self, picture: Image.Image | None) -> Image.Image:
        """The picture as RGB, resized to `size` × `size` pixels; a white one for None."""
        if picture is None:
            return Image.new("RGB", (self.size, self.size), (255, 255, 255))
        picture = picture.convert("RGB")
        wanted = (self.size, self.size)
        return picture if picture.size == wanted else picture.resize(wanted, Image.Resampling.LANCZOS)

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        """One RGB picture of `size` × `size` pixels per request, in order.

        The noise of a picture comes from its own seed, whatever else is in its batch. Batches follow the order of the
        requests; first steps and edits are in separate batches.
        """
        return in_batches(self._paint, requests, self.batch, key=lambda r: (r.previous is not None,))

    @torch.inference_mode()
    def _paint(self, requests: list[PaintRequest]) -> list[Image.Image]:
        result = self._pipe(
            prompt=[r.instruction for r in requests],
            num_inference_steps=self.steps,
            generator=[torch.Generator().manual_seed(r.seed) for r in requests],  # on the CPU, so equal on any device
            output_type="pil",
            **self._call(self, requests),
        )
        return [picture.convert("RGB") for picture in result.images]
