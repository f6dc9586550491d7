"""Local checkpoint folders: their digest and their faults, found without loading them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from safetensors import SafetensorError, safe_open


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of a folder's files."""
    return files_digest(folder, (p for p in folder.rglob("*") if p.is_file()))


def files_digest(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 over the files' names (relative to `folder`) and contents; files are read again only after a change."""
    return _digest(folder, tuple(_stamp(folder, file) for file in sorted(files)))


def _stamp(folder: Path, file: Path) -> tuple[str, int, int]:
    known = file.stat()
    return file.relative_to(folder).as_posix(), known.st_mtime_ns, known.st_size


@lru_cache(maxsize=64)
def _digest(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> str:
    total = hashlib.sha256()
    for name, *_ in stamps:
        total.update(f"{name}\0".encode())
        with (folder / name).open("rb") as f:
            total.update(hashlib.file_digest(f, "sha256").digest())
    return total.hexdigest()


def folder_fault(folder: Path, needs: Sequence[str]) -> str:
    """Why a checkpoint folder cannot be loaded; "" where nothing is wrong.

    It may be missing, lack a file of `needs` or its weights, or have damaged weights, of which only headers are read.
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
