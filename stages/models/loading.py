"""Where a model comes from and where it runs: what the three wrappers have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def dtype_of(name: str) -> torch.dtype:
    """Raises ValueError for a name that is none of DTYPES."""
    if name not in DTYPES:
        raise ValueError(f"unknown dtype {name!r}; use one of {', '.join(DTYPES)}")
    return DTYPES[name]


def device_of(name: str) -> torch.device:
    """ "auto" is the GPU where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def is_local(checkpoint: str | Path) -> bool:
    """Whether this is a folder, and not a hub id. Raises FileNotFoundError for a path to nothing.

    A relative path must begin with a dot or lead to a folder that exists: "a/b" alone may be a hub id.
    """
    path = Path(checkpoint)
    if path.is_dir():
        return True
    if path.is_absolute() or str(checkpoint).startswith(".") or len(path.parts) > 2:
        raise FileNotFoundError(f"no checkpoint folder at {checkpoint}")
    return False


def source(checkpoint: str | Path, revision: str | None) -> dict[str, Any]:
    """Keywords for `from_pretrained`: a local folder is never looked up on the network."""
    return {"local_files_only": True} if is_local(checkpoint) else {"revision": revision}
