"""What the three model wrappers (painter, speaker, scorer) share: dtype, device, batches, and where a checkpoint is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import torch

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Key = tuple[Any, ...]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def dtype_of(name: str) -> torch.dtype:
    """The dtype of a name. Raises ValueError for a name that is not in DTYPES."""
    if name not in DTYPES:
        raise ValueError(f"unknown dtype {name!r}; use one of {', '.join(DTYPES)}")
    return DTYPES[name]


def device_of(name: str) -> torch.device:
    """The device of a name; "auto" is the GPU where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def is_local(checkpoint: str | Path) -> bool:
    """Whether a checkpoint is a folder rather than a hub id. Raises FileNotFoundError for a path that does not exist.

    "a/b" is a path only if that folder exists, else a hub id; any other relative path must begin with a dot.
    """
    path = Path(checkpoint)
    if path.is_dir():
        return True
    if path.is_absolute() or str(checkpoint).startswith(".") or len(path.parts) > 2:
        raise FileNotFoundError(f"no checkpoint folder at {checkpoint}")
    return False


def source(checkpoint: str | Path, revision: str | None) -> dict[str, Any]:
    """Keyword arguments for `from_pretrained`, such that a local folder is never looked up on the network."""
    return {"local_files_only": True} if is_local(checkpoint) else {"revision": revision}


def in_batches(
    call: Callable[[list[Asked]], list[Answer]], requests: Sequence[Asked], size: int, key: Callable[[Asked], Key]
) -> list[Answer]:
    """`call` on at most `size` requests at a time, sorted by `key`, whose first part is one in a call.

    Returns the answers in the order of the requests.
    """
    answers: dict[int, Answer] = {}
    order = sorted(range(len(requests)), key=lambda i: key(requests[i]))
    for _, group in groupby(order, key=lambda i: key(requests[i])[0]):
        indices = list(group)
        for start in range(0, len(indices), size):
            part = indices[start : start + size]
            answers |= zip(part, call([requests[i] for i in part]), strict=True)
    return [answers[i] for i in range(len(requests))]
