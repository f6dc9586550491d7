"""Keeps a remote model's answers for a lot, so that a lot that is begun again (killed, retried) asks only the rest.

The file lies beside the lot's table and is deleted only with it, so that answers that were paid for are kept.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator, MutableMapping
from pathlib import Path

from underpaint.pipeline.common.atomic import atomic_write
from underpaint.stages.common.roles import ModelUnavailable
from underpaint.stages.models.chat_api import Record


class Journal(MutableMapping[str, Record]):
    """Answers by the digest of their request, in a file of JSON lines that grows by one with every answer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._answers = dict(_lines(path)) if path.exists() else {}

    def __getitem__(self, request: str) -> Record:
        return self._answers[request]

    def __setitem__(self, request: str, answer: Record) -> None:
        with self._lock:
            self._answers[request] = answer
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as f:
                f.write(json.dumps([request, answer]) + "\n")

    def __delitem__(self, request: str) -> None:
        self.forget({request})

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    def forget(self, requests: Collection[str]) -> int:
        """Drop the answers to these requests, given by their digests. Returns how many there were."""
        with self._lock:
            kept = {r: a for r, a in self._answers.items() if r not in requests}
            dropped = len(self._answers) - len(kept)
            if dropped:
                self._answers = kept
                atomic_write(self.path, "".join(json.dumps(line) + "\n" for line in kept.items()).encode())
        return dropped


class NoAnswer(ModelUnavailable):
    """A journal that is only read has no answer to a request."""


class ClosedJournal(Journal):
    """One that is only read: what it has no answer to raises NoAnswer, before a model is asked that may cost money."""

    def __getitem__(self, request: str) -> Record:
        if request not in self._answers:
            raise NoAnswer(f"{self.path} has no answer to the request {request}")
        return self._answers[request]

    def __setitem__(self, request: str, answer: Record) -> None:
        raise NoAnswer(f"{self.path} had no answer to the request {request}")


def _lines(path: Path) -> Iterator[tuple[str, Record]]:
    """(request, answer) of every line. A half-written last line, left by a killed process, is cut off."""
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        atomic_write(path, text[: text.rfind("\n") + 1].encode())
    for line in text.splitlines():
        try:
            request, answer = json.loads(line)
        except ValueError:
            continue
        yield request, answer
