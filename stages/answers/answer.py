"""What every reader of answers shares: what a reading gives, how it fails, and the words of an answer without frills.

Readers are forgiving about form and strict about meaning. Whatever was bent to read an answer has a kind that is kept
beside it; whatever could change what was meant is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")

LONGEST = 32_768  # characters of an answer without its thinking: a model that writes more is in a loop
_THINKING = re.compile(r"(</?(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad)>)", re.IGNORECASE)
_CHANNEL = re.compile(
    r"<\|channel\|>\s*final\s*(?:<\|constrain\|>\s*\w+\s*)?<\|message\|>"
)  # gpt-oss: the last is meant
_STOP = ("<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end|>", "<|return|>", "<|end_of_text|>", "</s>", "<eos>",
         "<end_of_turn>")  # fmt: skip
_BLANKS = re.compile(r"\s{100,}")  # what models in JSON mode may end in
_PICTURE = r"(?:the|this|your|that|any|an?)? ?(?:attached |provided )?(?:image|picture|photo|draft)s?\b"
_ACTS = (
    r"(?:help|assist|comply|provide|fulfil\w*|process|analy[sz]e|judge|create|generate|answer|write|discuss|do|engage)"
)
_REFUSAL = re.compile(
    rf"\b(?:i(?:'m| am) (?:sorry|afraid|unable|not able)\b"
    rf"|(?:i|we) (?:can't|cannot|can not|could not|couldn't|won't|will not|must decline to) (?:\w+ ){{0,2}}{_ACTS}\b"
    rf"|as an? (?:ai|language model)\b|(?:against|violates?) (?:my|our|the) (?:\w+ )?(?:guidelines|polic\w+))",
    re.IGNORECASE,
)
_BLIND = re.compile(
    rf"\b(?:(?:can't|cannot|can not|unable to|not able to) (?:see|view|access|open|load|display) {_PICTURE}"
    rf"|(?:don't|do not) have access to {_PICTURE}|no (?:image|picture) (?:was |is |has been )?(?:provided|attached))",
    re.IGNORECASE,
)


class AnswerError(ValueError):
    """An answer that cannot be read. The message says to people, and to the model that is asked anew, what is wrong.

    `reason` is a short kind that is counted, e.g. "refusal", "cut at the limit", "no JSON", "contradicts itself".
    """

    def __init__(self, message: str, reason: str = "cannot be read") -> None:
        super().__init__(message)
        self.reason = reason


class ContentError(AnswerError):
    """An answer that was read, but says other things than the scene or prompt that it is held against."""


class CritiqueError(AnswerError):
    """A judge's answer that does not count: it cannot be read as a critique, or does not follow from itself."""

    def __init__(self, message: str, reason: str = "does not follow") -> None:
        super().__init__(message, reason)


class Said(Protocol):
    """A model's answer; `stages.common.roles.Answer` is one."""

    @property
    def text(self) -> str:
        """The words."""

    @property
    def cut(self) -> bool:
        """Whether the answer ended at the token limit."""

    @property
    def refused(self) -> str:
        """The server's own refusal, "" where it did not refuse."""


@dataclass(frozen=True)
class Read(Generic[T]):
    """What was read, and the kinds of what was bent to read it: sorted, each once, none where the form was right."""

    value: T
    bends: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: T, bends: Iterable[str]) -> Read[T]:
        """A reading with these bends, in any order; an empty string is none."""
        return cls(value, tuple(sorted({*bends} - {""})))


def words_of(answer: str | Said) -> tuple[str, set[str]]:
    """(the words of an answer without thinking and stop tokens, bends).

    Raises AnswerError where the model or its server refused, the answer was cut, is blank, too long, or holds half a
    character, which no file can store.
    """
    text = answer if isinstance(answer, str) else answer.text
    if not isinstance(answer, str):
        if answer.refused:
            raise AnswerError(f"the server refused: {quote(answer.refused)}", "refusal")
        if answer.cut:
            raise AnswerError("the answer was cut at the token limit; answer more briefly", "cut at the limit")
    check_characters(text)
    words, bends = _BLANKS.sub(lambda m: m[0][:1], text).strip(), set[str]()
    while words.endswith(_STOP):
        words = next(words.removesuffix(token) for token in _STOP if words.endswith(token)).rstrip()
        bends.add("stop token")
    words, thought = _without_thinking(words)
    if thought:
        bends.add("thinking")
    if not words.strip():
        raise AnswerError("the answer is blank", "blank")
    if len(words) > LONGEST:
        raise AnswerError(f"the answer has {len(words)} characters; at most {LONGEST} are read", "too long")
    return words.strip(), bends


def check_characters(text: str) -> None:
    """Raises AnswerError where a text holds half a character (a lone surrogate), which UTF-8 cannot hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as e:
        raise AnswerError(f"character {e.start} is half a character ({text[e.start]!a})", "half a character") from None


def refuses(text: str) -> bool:
    """Whether a text declines to do what was asked."""
    return _REFUSAL.search(text.replace("’", "'")) is not None or blind(text)


def blind(text: str) -> bool:
    """Whether a text says that its author sees no picture, so that whatever it concludes is made up."""
    return _BLIND.search(text.replace("’", "'")) is not None


def quote(text: str, most: int = 80) -> str:
    """A text in quotation marks, shortened to `most` characters."""
    return repr(text if len(text) <= most else text[: most - 1] + "…")


def _without_thinking(text: str) -> tuple[str, bool]:
    if final := list(_CHANNEL.finditer(text)):
        return text[final[-1].end() :], True
    if "<|channel|>" in text:
        raise AnswerError("the answer ends in the midst of its thinking", "cut at the limit")
    kept, inside, parts = list[str](), False, _THINKING.split(text)
    for part in parts:
        if _THINKING.fullmatch(part):
            if part.startswith("</") and not inside:
                kept.clear()  # a chat template may end the question with the opening tag
            inside = not part.startswith("</")
        elif not inside:
            kept.append(part)
    if inside:
        raise AnswerError("the answer ends in the midst of its thinking", "cut at the limit")
    return "".join(kept), len(parts) > 1
