"""Reads the prompt lists of benchmarks and finds prompts that are in them, which must not be in the corpus.

A line that the grammar can read is compared as a scene, whatever its words. Any other line is compared by its words: a
prompt hits it if both share `words` words in a row, or the whole line if it is shorter (the n-gram rule of the GPT-3
paper, appendix C).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from underpaint.schemas.scenes.grammar import GrammarError
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.vocabulary import Vocabulary


class ListError(ValueError):
    """A prompt list that cannot be read; the message names the file and the line."""


@dataclass(frozen=True)
class Line:
    """A benchmark's prompt: where it is, and the key of its scene ("" where the grammar cannot read it)."""

    file: str  # the file's name, without its folder
    number: int
    prompt: str
    scene: str


@dataclass(frozen=True)
class Hit:
    """The benchmark's line that matches a prompt of ours, and how."""

    line: Line
    by: str  # "scene" or "words"


def read_list(path: Path) -> list[tuple[int, str]]:
    """(line, prompt) of every prompt of a file; lines, or places in a JSON list, count from 1.

    ``*.jsonl`` (GenEval's evaluation_metadata.jsonl) and ``*.json`` (WISE) hold objects with a field `prompt` or
    `Prompt`, or bare strings; anything else is text, one prompt a line. Raises ListError.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ListError(f"{path} cannot be read: {e}") from None
    try:
        if path.suffix == ".json":
            entries: list[tuple[int, Any]] = list(enumerate(_entries(json.loads(text)), 1))
        elif path.suffix == ".jsonl":
            entries = [(i, _json(path, i, line)) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
        else:
            return [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    except json.JSONDecodeError as e:
        raise ListError(f"{path}: no valid JSON: {e}") from None
    return [(i, _prompt(path, i, entry)) for i, entry in entries]


def _json(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as e:
        raise ListError(f"{path}, line {number}: no valid JSON: {e.msg} at column {e.colno}") from None


def _entries(whole: Any) -> list[Any]:
    return whole if isinstance(whole, list) else list(whole.values()) if isinstance(whole, dict) else [whole]


def _prompt(path: Path, number: int, entry: Any) -> str:
    if isinstance(entry, dict):
        entry = next((v for k, v in entry.items() if k.lower() == "prompt"), None)
    if not isinstance(entry, str) or not entry.strip():
        raise ListError(f"{path}, entry {number}: no prompt; give strings, or objects with a field 'prompt'")
    return entry.strip()


def scene_key(prompt: str, vocabulary: Vocabulary) -> str:
    """The key of the scene that a prompt asks for, in whatever style; "" where the grammar cannot read it."""
    try:
        return read_prompt(prompt, vocabulary).model_copy(update={"style": ""}).key()
    except (GrammarError, ValueError):
        return ""


class Benchmarks:
    """All benchmark lists of a recipe, ready for look-ups."""

    def __init__(self, paths: Sequence[Path], words: int, vocabulary: Vocabulary) -> None:
        """Read the lists. Raises ListError."""
        self.words = words
        self.lines = [
            Line(path.name, number, prompt, scene_key(prompt, vocabulary))
            for path in paths
            for number, prompt in read_list(path)
        ]
        self._scenes = {line.scene: line for line in reversed(self.lines) if line.scene}
        self._grams: dict[tuple[str, ...], Line] = {}
        self._lengths: set[int] = set()
        for line in (line for line in self.lines if not line.scene):
            for gram in _grams(line.prompt, words):
                self._grams.setdefault(gram, line)
                self._lengths.add(len(gram))

    @property
    def readable(self) -> int:
        """How many lines are compared as scenes."""
        return sum(bool(line.scene) for line in self.lines)

    def find(self, scene: str, *prompts: str) -> Hit | None:
        """The line that asks for this scene (a key) or shares words with one of these prompts; None if none does."""
        if line := self._scenes.get(scene):
            return Hit(line, "scene")
        for length in sorted(self._lengths):
            for gram in chain.from_iterable(_grams(prompt, length, whole=False) for prompt in prompts):
                if line := self._grams.get(gram):
                    return Hit(line, "words")
        return None


def _grams(text: str, length: int, whole: bool = True) -> Iterator[tuple[str, ...]]:
    """Every `length` words in a row, in lower case without punctuation; of a shorter text all words, if `whole`."""
    words = re.findall(r"[\w']+", text.lower())
    if len(words) < length:
        if whole and words:
            yield tuple(words)
        return
    for i in range(len(words) - length + 1):
        yield tuple(words[i : i + length])


def list_digest(path: Path) -> str:
    """SHA-256 of a list's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
