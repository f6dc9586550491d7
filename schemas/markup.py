"""The tags of the paper's segments: how to write and read them, and which texts may not stand inside them.

Plan   ``<ins>Add a cup.</ins><des>A red car and a cup.</des>``
Refine ``<refine>Make the cup blue.</refine>``
"""

from __future__ import annotations

import re

# Tokenizers map these to control ids wherever they stand, which breaks a training sequence.
CONTROL_TOKEN = re.compile(r"<\|[^|<>\s]{1,64}\|>")
TAG = re.compile(r"</?(?:ins|des|refine)>")
# Half a surrogate pair has no UTF-8, so no file can hold it; NUL and its like end a text early, or upset a terminal.
UNWRITABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff]")
DONE = "done"  # what a writer answers instead of a plan when nothing is missing
BLANK = "a blank canvas"  # what a template's `so_far` says before the first step
_PLAN = re.compile(r"\s*<ins>(.*?)</ins>\s*<des>(.*?)</des>\s*", re.DOTALL)
_REFINE = re.compile(r"\s*<refine>(.*?)</refine>\s*", re.DOTALL)


class MarkupError(ValueError):
    """A text whose tags are missing, doubled, nested or empty; the message quotes it."""


def plan_text(instruction: str, description: str) -> str:
    """The text of a plan segment. MarkupError where a part is empty or holds a tag or control token."""
    return f"<ins>{_inner(instruction, 'ins')}</ins><des>{_inner(description, 'des')}</des>"


def refine_text(instruction: str) -> str:
    """The text of a refine segment. MarkupError where it is empty or holds a tag or control token."""
    return f"<refine>{_inner(instruction, 'refine')}</refine>"


def parse_plan(text: str) -> tuple[str, str]:
    """(instruction, description) of a plan. Blanks around the tags are fine; MarkupError on anything else."""
    match = _PLAN.fullmatch(text)
    if match is None:
        raise MarkupError(f"not <ins>…</ins><des>…</des>: {_quote(text)}")
    return _inner(match[1], "ins"), _inner(match[2], "des")


def parse_refine(text: str) -> str:
    """The instruction of a refine. Blanks around the tags are fine; MarkupError on anything else."""
    match = _REFINE.fullmatch(text)
    if match is None:
        raise MarkupError(f"not <refine>…</refine>: {_quote(text)}")
    return _inner(match[1], "refine")


def unwritable(text: str) -> str:
    """The first character of a text that a file cannot hold, in words; "" where it can hold all of them."""
    found = UNWRITABLE.search(text)
    if found is None:
        return ""
    if found[0] < "\ud800":
        return f"the control character {found[0]!a}"
    return f"{found[0]!a}, which is half a character (of an emoji that was cut, or a byte that is no UTF-8)"


def writable(text: str) -> str:
    """The text with "\ufffd" for every character that a file cannot hold; for what is kept as it was said."""
    return UNWRITABLE.sub("\ufffd", text)


def check_plain(text: str) -> str:
    """Return the text unchanged.

    Raises MarkupError where it is blank or holds a tag, a control token or a character that a file cannot hold.
    """
    if not text.strip():
        raise MarkupError("is blank")
    if why := unwritable(text):
        raise MarkupError(f"holds {why}")
    if found := CONTROL_TOKEN.search(text) or TAG.search(text):
        kind = "control token" if found[0].startswith("<|") else "tag"
        raise MarkupError(f"holds the {kind} {found[0]!r}, which plain text must not; reword or drop it")
    return text


def _inner(text: str, tag: str) -> str:
    try:
        return check_plain(text.strip())
    except MarkupError as e:
        raise MarkupError(f"<{tag}> {e}") from None


def _quote(text: str) -> str:
    return repr(text if len(text) <= 120 else text[:117] + "…")
