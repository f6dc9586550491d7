"""Where every unit of work of a stage is accounted for: kept, rejected for a reason, or failed with an error."""

from __future__ import annotations

import traceback
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypedDict

from underpaint.schemas.markup import writable
from underpaint.stages.common.figures import AnswerCounts


@dataclass(frozen=True)
class Unit:
    """What is worked on, e.g. step 2 of rollout 0 of sample 12. Its text is part of seeds, so it must not change."""

    sample: int
    rollout: int | None = None
    step: int | None = None
    detail: str = ""  # what tells it from others of the same step, e.g. "repair 1"

    def __str__(self) -> str:
        parts = (f"{n} {v}" for n in ("sample", "rollout", "step") if (v := getattr(self, n)) is not None)
        return ", ".join([*parts, *filter(None, [self.detail])])


class Request(Protocol):
    """A request to a model; see `stages.common.roles`."""

    @property
    def digest(self) -> str:
        """SHA-256 of all of the request that can change its answer."""


@dataclass(frozen=True)
class Failure:
    """One unit that could not be worked on: it goes to quarantine, with all that explains it.

    `requests` are the digests of the requests whose answers failed it: `underpaint retry` asks these again.
    """

    sample: int
    rollout: int | None
    step: int | None
    side: str  # of the judge, where it was asked: "text" or "picture"
    detail: str  # of the unit
    error: str  # the exception's class
    message: str
    request: str = ""  # the rendered prompt, where there was one
    response: str = ""  # what the model answered
    trace: str = ""
    requests: Sequence[str] = field(default=())

    @classmethod
    def of(
        cls, unit: Unit, error: BaseException, request: str = "", response: str = "", *,
        side: str = "", asked: Sequence[Request] = (),
    ) -> Failure:  # fmt: skip
        """The failure of a unit, with the requests that were `asked` for it."""
        trace = "".join(traceback.format_exception(error))
        # What failed may be the very characters that no file can hold; they must not block the quarantine as well.
        detail, message, request, response, trace = map(writable, (unit.detail, str(error), request, response, trace))
        return cls(
            unit.sample, unit.rollout, unit.step, side, detail, type(error).__name__, message, request, response, trace,
            [r.digest for r in asked],
        )  # fmt: skip


class Summary(TypedDict):
    """A ledger in numbers: entered = kept + rejected by reason + failed by class of error."""

    entered: int
    kept: int
    rejected: dict[str, int]
    failed: dict[str, int]


class Ledger:
    """Counts units, so that none is lost silently: entered = kept + rejected + failed."""

    def __init__(self) -> None:
        self.entered = 0
        self.kept = 0
        self.rejected: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self.heard: defaultdict[str, AnswerCounts] = defaultdict(AnswerCounts)  # by template
        self.canaries: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by kind

    def enter(self, units: int = 1) -> None:
        """Work begins on so many units."""
        self.entered += units

    def keep(self, units: int = 1) -> None:
        """So many units went on into the stage's table."""
        self.kept += units

    def reject(self, reason: str, units: int = 1) -> None:
        """So many units were dropped on purpose, for a reason that `underpaint status` counts."""
        self.rejected[reason] += units

    def fail(self, failure: Failure) -> None:
        """One unit could not be worked on."""
        self.failures.append(failure)

    def summary(self) -> Summary:
        """The counts, in a stable order."""
        failed = Counter(f.error for f in self.failures)
        return {
            "entered": self.entered,
            "kept": self.kept,
            "rejected": dict(sorted(self.rejected.items())),
            "failed": dict(sorted(failed.items())),
        }

    def answered(self) -> dict[str, Any]:
        """What became of the questions to models, in a stable order.

        `heard` is by template; `canaries` (`stages.judgement.canaries`) by kind: how many were asked, answered
        rightly, and named rightly.
        """
        return {
            "heard": {template: heard.to_dict() for template, heard in sorted(self.heard.items())},
            "canaries": {kind: dict(sorted(found.items())) for kind, found in sorted(self.canaries.items())},
        }


def balances(summary: Mapping[str, object] | Summary) -> bool:
    """Whether a ledger's summary accounts for every unit that entered."""
    counts: Summary = summary  # type: ignore[assignment]  # as read from a manifest
    lost = sum(counts["rejected"].values()) + sum(counts["failed"].values())
    return counts["entered"] == counts["kept"] + lost
