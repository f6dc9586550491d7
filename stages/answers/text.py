"""Reads a long text, such as a prompt that a writer made richer: the text alone, without what a chat puts around it.

What cannot be told apart from the text is not stripped but refused, for it would become a prompt.
"""

from __future__ import annotations

import json
import re
from collections import Counter

from underpaint.schemas.markup import MarkupError, check_plain
from underpaint.stages.answers.answer import AnswerError, Read, Said, quote, refuses, words_of

_FENCED = re.compile(r"```[ \t]*\w*[ \t]*\n?(.*?)```", re.DOTALL)
_CHAT = (
    r"(?:sure|certainly|of course|absolutely|okay|ok|great|alright|gladly|as requested|no problem"
    r"|here(?:'s| is| are|'re)|below is|i(?:'ve| have|'ll| will))\b"
)
_NAME = (
    r"(?:(?:the|a|your|rich|richer|enriched|rewritten|expanded|revised|detailed|long|longer|final|image|new)\s+)*"
    r"(?:prompt|paragraph|description|text|version|output|answer|result|caption|rewrite)"
)
_PREAMBLE = re.compile(rf"[*#_ ]*(?:{_CHAT}[^\n:]{{0,120}}|{_NAME}):[*_]*\s*(?=\S)", re.IGNORECASE)
_HEADING = re.compile(r"(?:#{1,6} [^\n]+|\*\*[^\n*]+\*\*:?)\n+(?=\S)")
_MORE = re.compile(
    r"\b(?:let me know|feel free|would you like|do you want|i hope|hope (?:this|that|you)"
    r"|if you(?:'d| would)? (?:like|want|need)|i can (?:also|further)|shall i|want me to|happy to|word count"
    r"|\d+ words\b|as (?:you )?requested|note that i)|^\W*note:",
    re.IGNORECASE,
)
_OF_THE_TASK = re.compile(  # words about the question, or to whoever put it
    r"\b(?:rephras\w+|paraphras\w+|paragraphs?|prompts?|you (?:are|can|could|may|might|will|would|should|have|need)"
    r"|you'(?:re|ll|ve|d)|(?:this|that|your|the) (?:answer|response|sentence|request|instructions?|task))\b",
    re.IGNORECASE,
)
_CHOICE = re.compile(
    r"^\W{0,9}(?:option|version|alternative|variant|variation|take|draft)\s*(?:\d|[ab]\b|one\b)", re.I | re.M
)
_LIST = re.compile(r"^[ \t]{0,9}(?:[-*•]|\d+[.)])\s+\S", re.MULTILINE)
_END = re.compile(r"(?<!\.)[.!?][\"'”’)*_]*$|[。！？]$")
_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "«": "»", "`": "`"}


def read_text(answer: str | Said) -> Read[str]:
    """The text of an answer, on one line.

    Raises AnswerError on a refusal, chat that cannot be told from the text, lists, alternatives, babble, a text that
    does not end, and tags or control tokens.
    """
    text, bends = words_of(answer)
    if refuses(text):
        raise AnswerError(f"the answer refuses: {quote(text)}", "refusal")
    text = _unwrapped(text, bends)
    if _CHOICE.search(text):
        raise AnswerError("the answer gives several texts to choose from; give one", "several alternatives")
    text = _without_chat(text, bends)
    if len(_LIST.findall(text)) > 1:
        raise AnswerError("the answer is a list; write one paragraph", "list of parts")
    text = _unquoted(text, bends)
    if plain := re.sub(r"\*\*|__|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)", "", text):
        if plain != text:
            bends.add("markdown")
        text = plain
    text = " ".join(text.split())
    try:
        check_plain(text)
    except MarkupError as e:
        raise AnswerError(f"the text {e}", "tag or control token") from None
    check_prose(text)
    if not _END.search(text):
        raise AnswerError(f"the text does not end: …{quote(text[-40:])}", "cut at the limit")
    return Read.of(text, bends)


def check_prose(text: str, what: str = "the text") -> str:
    """Return the text unchanged. Raises AnswerError where it is a refusal, babble, or chat in place of a picture."""
    if refuses(text):
        raise AnswerError(f"{what} refuses: {quote(text)}", "refusal")
    if why := _babble(text):
        raise AnswerError(f"{what} is no prose: {why}", "babble")
    plain = text.replace("’", "'")
    if found := re.match(_CHAT, plain, re.IGNORECASE) or _MORE.search(plain) or _OF_THE_TASK.search(plain):
        raise AnswerError(f"{what} speaks of the task: {quote(found[0])}; say what is seen", "chat around the text")
    return text


def _unwrapped(text: str, bends: set[str]) -> str:
    """The text without a fence around it, and out of a JSON object that holds nothing else."""
    if fenced := _FENCED.findall(text):
        if len(fenced) > 1:
            raise AnswerError("the answer gives several texts in fences; give one", "several alternatives")
        outside = _FENCED.sub("\n", text).strip()
        if outside and not (_PREAMBLE.match(f"{outside}\n.") or _MORE.search(outside)):
            raise AnswerError("there are words around the fence; write the paragraph alone", "chat around the text")
        bends |= {"fence", "preamble"} if outside else {"fence"}
        text = fenced[0].strip()
    elif "```" in text:
        raise AnswerError("the fence is not closed", "cut at the limit")
    if re.match(r"[\[{(]", text):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and len(found) == 1 and isinstance(inner := next(iter(found.values())), str):
            bends.add("wrapped")
            return inner.strip()
        if found is not None or re.match(r"[\[{(]\s*[\"'{\[]", text):
            raise AnswerError("the answer is data; write one paragraph", "list of parts")
    return text


def _without_chat(text: str, bends: set[str]) -> str:
    """The text without a clear preamble before it and a paragraph of chat after it; raises on what is less clear."""
    for pattern, bend in ((_HEADING, "heading"), (_PREAMBLE, "preamble"), (_HEADING, "heading")):
        if found := pattern.match(text.replace("’", "'")):
            text = text[found.end() :]
            bends.add(bend)
    *paragraphs, last = re.split(r"\n\s*\n|\n-{3,}\n", text.strip())
    if paragraphs and _MORE.search(last.replace("’", "'")):
        text = "\n\n".join(paragraphs)
        bends.add("offer of more")
    plain = text.strip().replace("’", "'")
    opening, more = re.match(_CHAT, plain.lstrip("\"'*_ "), re.IGNORECASE), _MORE.search(plain)
    if opening or more:
        said = plain[more.start() if more and not opening else 0 :][:60]
        raise AnswerError(
            f"there is chat in the text: {quote(said)}; write the paragraph alone", "chat around the text"
        )
    return text.strip()


def _unquoted(text: str, bends: set[str]) -> str:
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        text = text[1:-1].strip()
        bends.add("quotes")
    return text


def _babble(text: str) -> str:
    """Why a text is no prose, "" where it may be: hardly letters, endless words, the same over and over, open marks."""
    letters = sum(c.isalpha() or c.isspace() for c in text)
    if letters < 0.8 * len(text):
        return "it is not made of letters"
    words = re.findall(r"\w+", text.lower())
    if any(len(w) > 40 for w in words):
        return "a word has more than 40 letters"
    fours = Counter(tuple(words[i : i + 4]) for i in range(len(words) - 3))
    if fours and (most := max(fours.values())) > 3 and 4 * most > 0.2 * len(words):
        return f"it says {' '.join(fours.most_common(1)[0][0])!r} {most} times"
    sentences = Counter(s for s in re.split(r"[.!?]+\W*", text.lower()) if len(s.split()) > 3)
    if sentences and (twice := sentences.most_common(1)[0])[1] > 1:
        return f"it says {quote(twice[0])} {twice[1]} times"
    if text.count('"') % 2 or text.count("“") != text.count("”"):
        return "its quotation marks do not close"
    if len(fours) > 16 and len(fours) < 0.4 * (len(words) - 3):
        return "it repeats itself"
    return ""
