"""The scorer role, played by models of open_clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import underpaint.stages.models.torchvision_compat  # noqa: F401  (before open_clip imports torchvision)
from underpaint.stages.models.loading import device_of, is_local


class OpenClipScorer:
    """Embeds pictures and texts with any OpenCLIP model.

    `checkpoint` is a folder with `open_clip_config.json`, the tokenizer's files and one `*.safetensors`
    (never looked up on the network), or an OpenCLIP model name ("ViT-B-32"), for which `pretrained` is the tag.

    Raises FileNotFoundError where the folder or its safetensors are missing, ValueError for a model name
    without a tag, RuntimeError (open_clip's) for a name or tag it does not know.
    """

    def __init__(
        self, checkpoint: str | Path, *, pretrained: str | None = None, device: str = "auto", batch: int = 64
    ) -> None:
        import open_clip

        name = str(checkpoint)
        if is_local(checkpoint):
            if not list(Path(checkpoint).glob("*.safetensors")):
                raise FileNotFoundError(f"{checkpoint}: holds no *.safetensors")
            name = f"local-dir:{Path(checkpoint).resolve()}"
        elif pretrained is None and ":" not in name:
            raise ValueError(f"the OpenCLIP model {name!r} needs a `pretrained` tag")
        self.batch = batch
        self._device = device_of(device)
        model, _, self._preprocess = open_clip.create_model_and_transforms(
            name, pretrained=pretrained, device=self._device
        )
        self._model = model.eval()
        self._tokenize = open_clip.get_tokenizer(name)

    @torch.inference_mode()
    def embed_pictures(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        """Unit vectors of RGB pictures, float32 (N, D); (0, D) for none."""
        rows = []
        for start in range(0, len(pictures), self.batch):
            part = [self._preprocess(p.convert("RGB")) for p in pictures[start : start + self.batch]]
            rows.append(self._model.encode_image(torch.stack(part).to(self._device)))
        return self._unit(rows)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of texts, float32 (N, D); (0, D) for none. A text longer than the model's context is cut."""
        rows = []
        for start in range(0, len(texts), self.batch):
            tokens = self._tokenize(list(texts[start : start + self.batch]))
            rows.append(self._model.encode_text(tokens.to(self._device)))
        return self._unit(rows)

    def _unit(self, rows: list[Tensor]) -> np.ndarray:
        if not rows:
            rows = [self._model.encode_text(self._tokenize([""]).to(self._device))[:0]]
        return F.normalize(torch.cat(rows).float(), dim=-1).cpu().numpy()
