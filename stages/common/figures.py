"""Counts what became of the questions put to models, template by template; a lot's manifest keeps the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from underpaint.stages.answers.answer import ContentError
from underpaint.stages.common.roles import Answer

EXAMPLES = 3  # unread answers that are kept to be shown
SHOWN = 400  # characters of each


class Said(Protocol):
    """What came of a question; see `stages.common.asking.Said`."""

    error: Exception | None
    bends: tuple[str, ...]
    answers: list[Answer]


@dataclass
class AnswerCounts:
    """Of the questions put with one template: how they were answered, and what was decided.

    An answer counts once, in its last form. `unread` are those from which nothing could be read, by reason (that of the
    AnswerError, else the error's class). `departed` were read, but say other things than their scene or prompt, by
    reason. `failed` are no answers: the model itself raised an error, by class. `bent` were read only because something
    of their form was bent; `bends` counts what, and an answer may have several kinds. The rest is of judges alone.
    `unsound` were read, but do not count, since they do not follow from what was observed. `votes` has the questions by
    "answers for conflict:answers against", the arbiter's included; `agreed` are the answers on the side of the
    decision. `repeated` questions were put more than once at a temperature above 0; `equal` are those of them whose
    answers are all equal byte by byte.
    """

    questions: int = 0
    answers: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    departed: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    unsound: int = 0
    bent: int = 0
    bends: Counter[str] = field(default_factory=Counter)
    decided: int = 0
    conflicts: int = 0
    agreed: int = 0
    of_decided: int = 0  # answers to the questions that are decided
    votes: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    equal: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)  # (why it was not read, its words), each once

    def hear(self, said: Sequence[Said]) -> None:
        """Count the answers to one question."""
        self.questions += 1
        for one in said:
            self.answers += 1
            self.bent += bool(one.bends)
            self.bends.update(one.bends)
            if one.error is None:
                continue
            if not one.answers:
                self.failed[type(one.error).__name__] += 1
                continue
            reason = str(getattr(one.error, "reason", type(one.error).__name__))
            if isinstance(one.error, ContentError):
                self.departed[reason] += 1
                continue
            self.unread[reason] += 1
            last = one.answers[-1]
            shown = str(one.error)[:SHOWN], (last.text or last.refused)[:SHOWN]
            if len(self.examples) < EXAMPLES and shown not in self.examples:
                self.examples.append(shown)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, counts in a stable order."""
        return {k: dict(sorted(v.items())) if isinstance(v, Counter) else v for k, v in vars(self).items()}


def total(found: Sequence[Mapping[str, Any]]) -> AnswerCounts:
    """The sum of several `AnswerCounts.to_dict`, as manifests have them."""
    whole = AnswerCounts()
    for one in found:
        for name, value in one.items():
            if isinstance(value, dict):
                getattr(whole, name).update(value)
            elif isinstance(value, list):
                whole.examples = [*dict.fromkeys([*whole.examples, *map(tuple, value)])][:EXAMPLES]
            else:
                setattr(whole, name, getattr(whole, name) + value)
    return whole
