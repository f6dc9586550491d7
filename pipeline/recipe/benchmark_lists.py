"""Reads the prompt lists of benchmarks and finds prompts that are in them, which must not be in the corpus.

A prompt hits a line that has the same words, and beyond that, by what the line allows:

as scenes         a line that the grammar can read: a prompt that asks for the same scene, in whatever words
by words          a line of at least `words` words: a prompt that shares that many in a row with it (the n-gram rule of
                  the GPT-3 paper, appendix C); a shorter line of at least `TELLING` content words: a prompt with all
                  its words in a row
as whole prompts  any other line ("wood", "a photo of a bench"), which most long prompts would hold by chance: no other
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from underpaint.schemas.scenes.grammar import GrammarError
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.prompting.prompt_files import SourceError, files_digest, list_files
from underpaint.stages.prompting.prompt_source import PromptSource, open_prompts

TELLING = 3  # content words; two ("a red car", "glass of milk") are in many prompts that nobody copied
SLICE = 4096  # lines that are read at a time
# Words that say nothing of what is shown, and those with which prompts lead in.
EMPTY = frozenset(
    re.findall(
        r"\w+",
        "a an the of on in at to by with from for into onto over under and or but nor as is are was were be been being"
        " it its this that these those there his her their our my your he she they we i you who which what some any no"
        " not one two has have had very photo photograph picture image drawing painting illustration",
    )
)
BY_SCENE, BY_WORDS, WHOLE = "as scenes", "by words", "as whole prompts"


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
    by: str  # "scene", "words", or "prompt" where all words are the same


def read_list(path: Path) -> list[tuple[int, str]]:
    """(line, prompt) of every prompt of a list, in any format that prompts are read from. Raises ListError.

    Lines count from 1; in JSON and Parquet, entries and rows do. A list of which one row cannot be read is refused.
    """
    try:
        prompts = open_prompts(PromptSource(path=str(path)))
    except SourceError as e:
        hint = "; give the column of prompts one of these names" if e.field == "column" else ""
        raise ListError(f"{e}{hint}") from None
    found = []
    for start in range(0, len(prompts), SLICE):
        for one in prompts.read(start, start + SLICE):
            if isinstance(one, ValueError):
                raise ListError(f"{path}, {one}")
            found.append((one.number, one.text))
    return found


def scene_key(prompt: str, vocabulary: Vocabulary) -> str:
    """The key of the scene that a prompt asks for, "" where the grammar cannot read it."""
    try:
        return read_prompt(prompt, vocabulary).key()
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
        self.compared = Counter({BY_SCENE: 0, BY_WORDS: 0, WHOLE: 0})  # lines, by how they are compared
        self._whole: dict[tuple[str, ...], Line] = {}
        self._scenes: dict[str, Line] = {}
        self._grams: dict[tuple[str, ...], Line] = {}
        for line in self.lines:
            said = _words(line.prompt)
            self._whole.setdefault(said, line)
            if line.scene:
                self._scenes.setdefault(line.scene, line)
            grams = () if line.scene else _telling(said, words)
            for gram in grams:
                self._grams.setdefault(gram, line)
            self.compared[BY_SCENE if line.scene else BY_WORDS if grams else WHOLE] += 1
        self._lengths = sorted({len(gram) for gram in self._grams})

    def find(self, scene: str, *prompts: str) -> Hit | None:
        """The line that one of these prompts, which ask for this scene (a key), hits; None if they hit none."""
        if line := self._scenes.get(scene):
            return Hit(line, "scene")
        said = [_words(prompt) for prompt in prompts]
        for words in said:
            if line := self._whole.get(words):
                return Hit(line, "prompt")
        for length in self._lengths:
            for gram in chain.from_iterable(_grams(words, length) for words in said):
                if line := self._grams.get(gram):
                    return Hit(line, "words")
        return None

    def summary(self) -> str:
        """How many lines there are, and how many are compared in which way; "" where there are none."""
        ways = ", ".join(f"{number} {way}" for way, number in self.compared.items())
        return f"{len(self.lines)} benchmark prompts to compare with: {ways}" if self.lines else ""


def _words(text: str) -> tuple[str, ...]:
    """The words of a text without case and punctuation; of a text without words the text itself."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return tuple(re.findall(r"[\w']+", plain)) or (plain,)


def _telling(words: tuple[str, ...], length: int) -> list[tuple[str, ...]]:
    """The runs of a line's words that say that a prompt was copied from it; none where any prompt might hold them."""
    if len(words) >= length:
        return list(_grams(words, length))
    return [words] if sum(word not in EMPTY for word in words) >= TELLING else []


def _grams(words: tuple[str, ...], length: int) -> Iterator[tuple[str, ...]]:
    """Every `length` words in a row."""
    return (words[i : i + length] for i in range(len(words) - length + 1))


def list_digest(path: Path) -> str:
    """SHA-256 of a list's content and format."""
    return files_digest(list_files(path))
