"""What a remote model has answered for a lot, so that a lot begun again (killed, retried) asks only for the rest.

It lies beside the lot's table and goes with it: what was paid for is kept.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

from underpaint.pipeline.atomic import atomic_write


class Journal(MutableMapping[str, str]):
    """Answers by request, in a file of JSON lines that grows by one with every answer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._answers = dict(_lines(path)) if path.exists() else {}

    def __getitem__(self, request: str) -> str:
        return self._answers[request]

    def __setitem__(self, request: str, answer: str) -> None:
        with self._lock:
            self._answers[request] = answer
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as f:
                f.write(json.dumps([request, answer]) + "\n")

    def __delitem__(self, request: str) -> None:
        self.forget(lambda r: r == request)

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    def forget(self, which: Callable[[str], bool]) -> int:
        """Drop the answers to these requests; gives how many."""
        with self._lock:
            kept = {r: a for r, a in self._answers.items() if not which(r)}
            dropped = len(self._answers) - len(kept)
            if dropped:
                self._answers = kept
                atomic_write(self.path, "".join(json.dumps(line) + "\n" for line in kept.items()).encode())
        return dropped


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """A last line that a killed process left in half is skipped; so the next one begins anew."""
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        atomic_write(path, text[: text.rfind("\n") + 1].encode())
    for line in text.splitlines():
        try:
            request, answer = json.loads(line)
        except ValueError:
            continue
        yield request, answer
