"""Local checkpoint folders: what identifies one, and what is wrong with one, without loading it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open


def is_folder(checkpoint: str) -> bool:
    """Whether a recipe's checkpoint is a folder (its paths are absolute once loaded), and no hub id."""
    return checkpoint.startswith(("/", "./", "../"))


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of a folder's files."""
    total = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        with file.open("rb") as f:
            total.update(hashlib.file_digest(f, "sha256").digest())
    return total.hexdigest()


def folder_fault(folder: Path, needs: Sequence[str]) -> str:
    """Why a checkpoint folder cannot be loaded: no folder, a file of `needs` or the weights missing, weights cut short.

    "" where none of these is so. Only the headers of the weights are read.
    """
    if not folder.is_dir():
        return f"the checkpoint folder {folder} does not exist"
    if lacking := [name for name in needs if not (folder / name).is_file()]:
        return f"the checkpoint folder {folder} holds no {lacking[0]}; is it what save_pretrained wrote?"
    weights = sorted(folder.rglob("*.safetensors"))
    if not weights:
        return f"the checkpoint folder {folder} holds no safetensors; other formats are not read"
    for file in weights:
        try:
            with safe_open(file, framework="numpy"):
                pass
        except (SafetensorError, OSError) as e:
            return f"{file} is damaged or cut short ({e}); fetch it again"
    return ""
