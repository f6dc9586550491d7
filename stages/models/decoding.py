"""How a model of transformers picks its tokens: drawn from seeds, held to JSON Schemas, their probabilities noted.

All are logits processors of `generate`, which must decode greedily.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import llguidance.numpy
import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor

from underpaint.stages.common.roles import AskRequest

# As json.dumps writes it. Blanks at will would let a small model write blanks until it is cut.
FORM = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class SeededSampling:
    """Gumbel-max sampling as a logits processor: the arg max of logits / T + Gumbel noise is a sample at temperature T.

    Each row draws from its own generator, so its sample does not depend on its neighbours in the batch. A row of
    temperature 0 stays as it is.
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


class HeldToSchemas:
    """Leaves every row only the tokens with which its answer can still become JSON of its schema.

    A row without a schema stays as it is. Raises ValueError for a schema that cannot be followed.
    """

    def __init__(self, tokenizer: LLTokenizer, schemas: Sequence[Mapping[str, Any] | None]) -> None:
        self._matchers = {row: _matcher(tokenizer, schema) for row, schema in enumerate(schemas) if schema is not None}
        self._bits = llguidance.numpy.allocate_token_bitmask(len(schemas), tokenizer.vocab_size)  # all are allowed
        self._begun = False

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        for row, matcher in self._matchers.items():
            if self._begun and not matcher.is_stopped():
                matcher.consume_token(int(input_ids[row, -1]))
            llguidance.numpy.fill_next_token_bitmask(matcher, self._bits, row)
            if matcher.is_error():
                raise ValueError(f"the answer left its JSON Schema: {matcher.get_error()}")
        self._begun = True
        allowed = np.unpackbits(self._bits.view(np.uint8), axis=1, bitorder="little")[:, : scores.shape[1]]
        return scores.masked_fill(torch.from_numpy(allowed == 0).to(scores.device), -torch.inf)


class Chances:
    """Notes ln p of every token that is picked: `before` all other processors, as the model gave it; `after` them."""

    def __init__(self) -> None:
        self.picked: list[Tensor] = []  # (rows,) a token

    def before(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Keep what the model itself says."""
        self._given = scores.float().log_softmax(-1)
        return scores

    def after(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Look up the tokens that greedy decoding will pick."""
        self.picked.append(self._given.gather(1, scores.argmax(-1, keepdim=True))[:, 0].cpu())
        return scores


def schema_tokenizer(tokenizer: Any, size: int, ends: Sequence[int]) -> LLTokenizer:
    """A tokenizer of transformers in the form that schemas are followed with; takes 1.5 s for 150,000 tokens.

    `size` is the number of the model's logits, `ends` are the tokens that end an answer. Raises ValueError for a
    tokenizer that cannot be used, naming the recipe's field.
    """
    from llguidance.hf import from_tokenizer  # it imports transformers

    try:
        return from_tokenizer(tokenizer, n_vocab=max(size, len(tokenizer)), eos_token=list(ends))
    except Exception as e:
        raise ValueError(
            f"with its tokenizer ({type(tokenizer).__name__}) no answer can be held to a JSON Schema: {e}; set"
            " `structured: false` for this model"
        ) from e


def _matcher(tokenizer: LLTokenizer, schema: Mapping[str, Any]) -> LLMatcher:
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(dict(schema), defaults=FORM))  # type: ignore[arg-type]
    if matcher.is_error():
        raise ValueError(
            f"no answer can be held to this JSON Schema: {matcher.get_error()}; change the template's fields, or set"
            " `structured: false` for this model"
        )
    return matcher
