"""The writer and judge roles, played by models of transformers that take texts, or texts and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import jinja2
import torch

import underpaint.stages.models.torchvision_compat  # noqa: F401  (before transformers imports torchvision)
from underpaint.stages.common.roles import Answer, AskRequest, Turn
from underpaint.stages.models.decoding import Chances, HeldToSchemas, SeededSampling, schema_tokenizer
from underpaint.stages.models.loading import device_of, dtype_of, in_batches, source


class TransformersSpeaker:
    """Answers with any model that `AutoModelForImageTextToText` or `AutoModelForCausalLM` loads, by its chat template.

    `checkpoint` is a folder as written by `save_pretrained` (never looked up on the network) or a hub id;
    weights are read from safetensors only. With `structured`, an answer is held to its request's JSON Schema while it
    is written; with `logprobs`, it says how probable its tokens were. `chat` are further variables of the chat
    template, e.g. ``{"enable_thinking": False}``.

    Raises ValueError for an unknown dtype, for a checkpoint without a chat template, and for a tokenizer with which no
    answer can be held to a schema; FileNotFoundError for a path that is no folder, OSError where the checkpoint is
    incomplete.
    """

    def __init__(
        self, checkpoint: str | Path, *, revision: str | None = None, dtype: str = "float32",
        device: str = "auto", batch: int = 32, max_new_tokens: int = 256, structured: bool = True,
        logprobs: bool = False, chat: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        from transformers import (
            MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
            AutoConfig,
            AutoModelForCausalLM,
            AutoModelForImageTextToText,
            AutoProcessor,
            AutoTokenizer,
        )

        where = source(checkpoint, revision)
        self.checkpoint, self.batch, self.max_new_tokens = str(checkpoint), batch, max_new_tokens
        self.logprobs, self.chat = logprobs, dict(chat or {})
        self._device = device_of(device)
        # Whether pictures can be shown, which the checkpoint's configuration says.
        self._sees = type(AutoConfig.from_pretrained(str(checkpoint), **where)) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        self._processor = (AutoProcessor if self._sees else AutoTokenizer).from_pretrained(str(checkpoint), **where)
        self._tokenizer = self._processor.tokenizer if self._sees else self._processor
        if not getattr(self._processor, "chat_template", None):
            raise ValueError(f"{checkpoint}: it has no chat template, so there is no way to ask it")
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._model: Any = (AutoModelForImageTextToText if self._sees else AutoModelForCausalLM).from_pretrained(
            str(checkpoint), dtype=dtype_of(dtype), use_safetensors=True, **where
        )
        self._model.to(self._device).eval()
        self._ends = _ends(self._model.generation_config.eos_token_id, self._tokenizer.eos_token_id)
        self._hears_system = self._renders_system()
        words = self._model.config.get_text_config().vocab_size
        self._schemas = schema_tokenizer(self._tokenizer, words, self._ends) if structured else None

    def ask(self, requests: Sequence[AskRequest]) -> list[Answer]:
        """One answer per request, in order, without special tokens and surrounding blanks.

        Requests with and without a picture are in separate batches. A sampled answer is drawn from the request's own
        seed; other requests of its batch influence it through floating-point rounding only. Raises ValueError where a
        text model is shown a picture, and for a schema that cannot be followed.
        """
        # Requests of similar length go into one batch, since a batch takes as long as its longest request.
        return in_batches(self._ask, requests, self.batch, key=_shape)

    @torch.inference_mode()
    def _ask(self, requests: list[AskRequest]) -> list[Answer]:
        from transformers import LogitsProcessorList

        inputs = self._inputs(requests)
        picking: list[Any] = [SeededSampling(requests)]
        if self._schemas and any(r.schema is not None for r in requests):
            picking.insert(0, HeldToSchemas(self._schemas, [r.schema for r in requests]))
        chances = Chances()
        if self.logprobs:
            picking = [chances.before, *picking, chances.after]
        out = self._model.generate(
            **inputs, max_new_tokens=self.max_new_tokens, do_sample=False, temperature=None, top_p=None, top_k=None,
            eos_token_id=self._ends, pad_token_id=self._tokenizer.pad_token_id,
            logits_processor=LogitsProcessorList(picking),
        )  # fmt: skip
        new = out[:, inputs["input_ids"].shape[1] :].tolist()
        texts = self._processor.batch_decode(new, skip_special_tokens=True)
        found = torch.stack(chances.picked, 1).tolist() if self.logprobs else [()] * len(requests)
        return [self._answer(*said) for said in zip(texts, new, found, strict=True)]

    def _answer(self, text: str, tokens: list[int], chances: Sequence[float]) -> Answer:
        end = next((i for i, token in enumerate(tokens) if token in self._ends), None)
        said = zip(tokens[:end], chances, strict=False)  # no chances were noted, or some after the answer's end, too
        logprobs = tuple((self._tokenizer.decode([token]), chance) for token, chance in said)
        return Answer(text.strip(), cut=end is None, logprobs=logprobs)

    def _inputs(self, requests: list[AskRequest]) -> dict[str, Any]:
        texts = [self.rendered(request) for request in requests]
        pictures = [[p.convert("RGB") for turn in r.messages() for p in turn.pictures] for r in requests]
        if any(pictures) and not self._sees:
            raise ValueError(f"{self.checkpoint} is a text model and sees no pictures; ask a model that does")
        shown = {"images": pictures} if any(pictures) else {}  # a list a row: some processors take no flat one
        inputs = self._processor(
            text=texts, **shown, padding=True, padding_side="left", add_special_tokens=False, return_tensors="pt"
        )
        if "token_type_ids" not in signature(self._model.forward).parameters:
            inputs.pop("token_type_ids", None)
        return {k: v.to(self._device, self._model.dtype if v.is_floating_point() else None) for k, v in inputs.items()}

    def rendered(self, request: AskRequest) -> str:
        """The text that the model reads: the request's conversation as its chat template writes it."""
        return self._rendered([self._message(turn) for turn in self._turns(request)])

    def _turns(self, request: AskRequest) -> list[Turn]:
        """The conversation; a system message that the chat template does not know stands before the first words."""
        first, *others = request.messages()
        if first.role != "system" or self._hears_system:
            return [first, *others]
        return [Turn("user", f"{first.text}\n\n{others[0].text}", others[0].pictures), *others[1:]]

    def _renders_system(self) -> bool:
        """Whether the chat template shows a system message; some leave it out, some refuse it."""
        turns = [self._message(Turn("system", "Be brief.")), self._message(Turn("user", "Why?"))]
        try:
            return "Be brief." in self._rendered(turns)
        except jinja2.TemplateError:
            return False

    def _rendered(self, messages: list[dict[str, Any]]) -> str:
        text: str = self._processor.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False, **self.chat
        )
        return text

    def _message(self, turn: Turn) -> dict[str, Any]:
        """A message in the form of chat templates: parts where the model takes pictures, else plain text."""
        if not self._sees:
            return {"role": turn.role, "content": turn.text}
        shown = [{"type": "image"} for _ in turn.pictures]
        return {"role": turn.role, "content": [*shown, {"type": "text", "text": turn.text}]}


def _ends(*named: int | list[int] | None) -> list[int]:
    """The tokens that end an answer, by all places that name them."""
    return sorted({token for ids in named for token in ([ids] if isinstance(ids, int) else ids or [])})


def _shape(request: AskRequest) -> tuple[bool, int]:
    """Whether a request shows pictures, and the length of its words."""
    turns = request.messages()
    return any(turn.pictures for turn in turns), sum(len(turn.text) for turn in turns)
