"""Counts the tokens of a text, by a tokenizer that the user names, or by an upper bound without one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path


def byte_tokens(text: str) -> int:
    """The number of UTF-8 bytes: an upper bound, since byte-level BPE (Qwen's, and so BAGEL's) only merges bytes."""
    return len(text.encode())


def counter(folder: Path | None) -> Callable[[str], int]:
    """A function that counts tokens, by `folder`/tokenizer.json (Hugging Face); `byte_tokens` if no folder is given.

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
