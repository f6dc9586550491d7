"""Counting the tokens of a text: with a tokenizer that the user names, or by an upper bound that needs none."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path


def byte_tokens(text: str) -> int:
    """UTF-8 bytes: byte-level BPE (Qwen's, so BAGEL's) starts from bytes and only ever merges, so it needs no more."""
    return len(text.encode())


def counter(folder: Path | None) -> Callable[[str], int]:
    """Tokens of a text, by `folder`/tokenizer.json (Hugging Face), or `byte_tokens` where no folder is given.

    Raises ValueError where the folder holds no tokenizer.
    """
    if folder is None:
        return byte_tokens
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as e:  # the library raises bare Exception
        raise ValueError(f"{file}: is no tokenizer: {e}; name a folder with the model's tokenizer.json") from None
    return cache(lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids))
