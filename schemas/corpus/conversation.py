"""Turns a sample into a conversation, the form that IRG's `MultiThinkInterleaveT2IDataset` reads.

Source: Osilly/Interleaving-Reasoning-Generation, SFT/data/interleave_datasets/multi_think_interleave_t2i_dataset.py.
This form has no place for labels of control tokens, scores and provenance; those are in the shards only.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from underpaint.schemas.corpus.sample import Sample


def conversation(sample: Sample, pictures: Sequence[bytes]) -> list[dict[str, Any]]:
    """Two turns: the prompt as the user's, all other segments as parts of the assistant's, pictures in base64.

    `need_loss` is the segment's loss. `need_vae` and `need_vit` are true for every picture but a last one: later
    segments look at it.
    """
    files = {p.name: data for p, data in zip(sample.images, pictures, strict=True)}
    parts: list[dict[str, Any]] = []
    for i, segment in enumerate(sample.segments[1:], 1):
        part: dict[str, Any] = {"type": segment.type, "need_loss": bool(segment.loss)}
        if segment.type == "text":
            part["content"] = segment.text
        else:
            seen = i + 1 < len(sample.segments)
            part["content"] = base64.b64encode(files[segment.image]).decode("ascii")
            part |= {"need_vae": seen, "need_vit": seen}
        parts.append(part)
    user = {"role": "user", "content": sample.prompt, "need_loss": False}
    return [user, {"role": "assistant", "content": parts}]
