"""The writer and judge roles, played by image-text-to-text models of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import underpaint.stages.models.torchvision_compat  # noqa: F401  (before transformers imports torchvision)
from underpaint.stages.common.roles import AskRequest
from underpaint.stages.models.loading import device_of, dtype_of, in_batches, source


class SeededSampling:
    """Gumbel-max sampling as a logits processor: the arg max of logits / T + Gumbel noise is a sample at temperature T.

    Each row draws from its own generator, so its sample does not depend on its neighbours in the batch. A row of
    temperature 0 stays as it is. The result must be decoded greedily.
    """

    def __init__(self, requests: Sequence[AskRequest]) -> None:
        self.temperatures = [r.temperature for r in requests]
        self.generators = [torch.Generator().manual_seed(r.seed) for r in requests]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores = scores.float().clone()
        for row, (temperature, generator) in enumerate(zip(self.temperatures, self.generators, strict=True)):
            if temperature > 0:
                uniform = torch.rand(scores.shape[1], generator=generator, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
                gumbel = -(-uniform.log()).log()
                scores[row] = scores[row] / temperature + gumbel.to(scores)
        return scores


class TransformersSpeaker:
    """Answers with any model that `AutoModelForImageTextToText` loads, with its processor's chat template.

    `checkpoint` is a folder as written by `save_pretrained` (never looked up on the network) or a hub id;
    weights are read from safetensors only.

    Raises ValueError for an unknown dtype and for a processor without a chat template, FileNotFoundError for
    a path that is no folder, OSError where the checkpoint is incomplete.
    """

    def __init__(
        self, checkpoint: str | Path, *, revision: str | None = None, dtype: str = "float32",
        device: str = "auto", batch: int = 32, max_new_tokens: int = 256,
    ) -> None:  # fmt: skip
        from transformers import AutoModelForImageTextToText, AutoProcessor

        where = source(checkpoint, revision)
        self.batch, self.max_new_tokens = batch, max_new_tokens
        self._device = device_of(device)
        self._processor = AutoProcessor.from_pretrained(str(checkpoint), **where)
        if not getattr(self._processor, "chat_template", None):
            raise ValueError(f"{checkpoint}: its processor has no chat template, so there is no way to ask it")
        self._model: Any = AutoModelForImageTextToText.from_pretrained(
            str(checkpoint), dtype=dtype_of(dtype), use_safetensors=True, **where
        )
        self._model.to(self._device).eval()

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        """One answer per request, in order, without special tokens and surrounding blanks.

        Requests with and without a picture are in separate batches. A sampled answer is drawn from the request's own
        seed; other requests of its batch influence it through floating-point rounding only.
        """
        # Requests of similar length go into one batch, since a batch takes as long as its longest request.
        return in_batches(
            self._ask, requests, self.batch, key=lambda r: (any(t.pictures for t in r.messages()), len(r.text))
        )

    @torch.inference_mode()
    def _ask(self, requests: list[AskRequest]) -> list[str]:
        from transformers import LogitsProcessorList

        inputs = self._inputs(requests)
        out = self._model.generate(
            **inputs, max_new_tokens=self.max_new_tokens, do_sample=False, temperature=None,
            top_p=None, top_k=None, logits_processor=LogitsProcessorList([SeededSampling(requests)]),
        )  # fmt: skip
        new = out[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self._processor.batch_decode(new, skip_special_tokens=True)]

    def _inputs(self, requests: list[AskRequest]) -> dict[str, Any]:
        texts, pictures = [], []
        for request in requests:
            turns = []
            for turn in request.messages():
                shown = [{"type": "image"} for _ in turn.pictures]
                turns.append({"role": turn.role, "content": [*shown, {"type": "text", "text": turn.text}]})
                pictures += [picture.convert("RGB") for picture in turn.pictures]
            texts.append(self._processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))
        inputs = self._processor(
            text=texts, images=pictures or None, padding=True, padding_side="left", add_special_tokens=False,
            return_tensors="pt",
        )  # fmt: skip
        inputs.pop("token_type_ids", None)  # Llama-based models do not take them
        return {k: v.to(self._device, self._model.dtype if v.is_floating_point() else None) for k, v in inputs.items()}
