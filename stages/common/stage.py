"""What a stage is: a pure function from one lot's tables to the next table, and what it declares of itself.

A new stage is one file with a params model, a ``run(context, tables)`` and a ``STAGE``; see prompts.py.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeVar

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeFloat

from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.common.seeds import derive_random, derive_seed
from underpaint.stages.common.templating import Template

Key = TypeVar("Key")


def _weights(weights: dict[Any, float]) -> dict[Any, float]:
    if not any(weights.values()):
        raise ValueError("all weights are 0")
    return dict(sorted(weights.items()))


# Relative weights of a draw, in the order of their keys: a draw depends on it, and must not on how they are written.
Weights = Annotated[dict[Key, NonNegativeFloat], Field(min_length=1), AfterValidator(_weights)]


class Params(BaseModel):
    """Base of every stage's parameters: strict, frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def identity(self) -> dict[str, Any]:
        """What the stage's fingerprint depends on; a file counts by its content, not by where it lies."""
        return self.model_dump(mode="json")

    def problem(self) -> str:
        """What they name and is not there, as "field: why"; "" where all is. Asked before anything runs."""
        return ""

    def unused_tasks(self) -> frozenset[str]:
        """Template tasks of the stage that these parameters leave out."""
        return frozenset()

    def roles(self) -> tuple[str, ...]:
        """Roles that these parameters ask for beyond the stage's own."""
        return ()


@dataclass(frozen=True)
class Lot:
    """A fixed slice of the endless sample stream: samples ``start … start + size - 1``."""

    index: int
    size: int

    @property
    def start(self) -> int:
        return self.index * self.size


@dataclass(frozen=True)
class Context:
    """All that a stage may use beside its input tables."""

    name: str  # the stage's name in the graph; part of every seed
    seed: int  # the recipe's
    lot: Lot
    params: Any  # the stage's own Params
    vocabulary: Vocabulary
    models: Mapping[str, Any] = field(default_factory=dict)  # by role
    templates: Mapping[str, list[Template]] = field(default_factory=dict)  # by task

    def seed_for(self, *parts: str | int) -> int:
        return derive_seed(self.seed, self.name, *parts)

    def random_for(self, *parts: str | int) -> Any:
        return derive_random(self.seed, self.name, *parts)


@dataclass(frozen=True)
class Failure:
    """One unit that could not be worked on: it goes to quarantine, with all that explains it."""

    unit: str  # e.g. "sample 12, rollout 0, step 2"
    error: str  # the exception's class
    message: str
    request: str = ""  # the rendered prompt, where there was one
    response: str = ""  # what the model answered
    trace: str = ""

    @classmethod
    def of(cls, unit: str, error: BaseException, request: str = "", response: str = "") -> Failure:
        trace = "".join(traceback.format_exception(error))
        return cls(unit, type(error).__name__, str(error), request, response, trace)


class Ledger:
    """Counts units, so that none is lost silently: entered = kept + rejected + failed."""

    def __init__(self) -> None:
        self.entered = 0
        self.kept = 0
        self.rejected: Counter[str] = Counter()
        self.failures: list[Failure] = []

    def enter(self, units: int = 1) -> None:
        self.entered += units

    def keep(self, units: int = 1) -> None:
        self.kept += units

    def reject(self, reason: str, units: int = 1) -> None:
        self.rejected[reason] += units

    def fail(self, failure: Failure) -> None:
        self.failures.append(failure)

    def summary(self) -> dict[str, Any]:
        failed = Counter(f.error for f in self.failures)
        return {
            "entered": self.entered,
            "kept": self.kept,
            "rejected": dict(sorted(self.rejected.items())),
            "failed": dict(sorted(failed.items())),
        }


def balances(summary: Mapping[str, Any]) -> bool:
    """Whether a ledger's summary accounts for every unit that entered."""
    lost = sum(summary["rejected"].values()) + sum(summary["failed"].values())
    return bool(summary["entered"] == summary["kept"] + lost)


@dataclass(frozen=True)
class Outcome:
    """What a stage makes of a lot. Raises ValueError where the ledger does not balance."""

    table: pa.Table
    ledger: Ledger

    def __post_init__(self) -> None:
        if not balances(self.ledger.summary()):
            raise ValueError(f"the ledger does not balance: {self.ledger.summary()}")


@dataclass(frozen=True)
class Stage:
    """A stage's declaration; the engine needs nothing else to run, cache and explain it."""

    name: str
    unit: str  # what its ledger counts, e.g. "prompts"
    inputs: tuple[str, ...]  # the stages whose tables it reads
    schema: pa.Schema
    params: type[Params]
    run: Callable[[Context, Mapping[str, pa.Table]], Outcome]
    roles: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()  # the template tasks it renders
    key: tuple[str, ...] = ("sample", "rollout", "step", "side")  # the columns (of those it has) that name a unit kept

    def narrowed(self, params: Params) -> Stage:
        """The stage as it is with these parameters: no task they leave out, and no model where no task is left; the
        roles they ask for."""
        tasks = tuple(t for t in self.tasks if t not in params.unused_tasks())
        roles = self.roles if tasks or not self.tasks else ()
        return replace(self, tasks=tasks, roles=(*roles, *(r for r in params.roles() if r not in roles)))


def outcome(schema: pa.Schema, rows: list[dict[str, Any]], ledger: Ledger) -> Outcome:
    """Rows as a table of the stage's schema, with the ledger."""
    return Outcome(pa.Table.from_pylist(rows, schema=schema), ledger)


def pick_template(context: Context, task: str, unit: str, named: str = "") -> Template:
    """The named one where the stage has it, else one of the task's by weight, the same for a unit in every run."""
    templates = context.templates[task]
    if mine := [t for t in templates if t.id == named]:
        return mine[0]
    return context.random_for("template", unit).choices(templates, [t.weight for t in templates])[0]
