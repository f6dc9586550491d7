"""What a stage is: a pure function from one lot's tables to the next table, and a declaration of what it needs.

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


# Relative weights of a draw, sorted by key: a draw depends on their order, which must not depend on the recipe's text.
Weights = Annotated[dict[Key, NonNegativeFloat], Field(min_length=1), AfterValidator(_weights)]


class Params(BaseModel):
    """Base of every stage's parameters: strict, frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def identity(self) -> dict[str, Any]:
        """What the parameters add to the stage's fingerprint; a file counts by its content, not by its path."""
        return self.model_dump(mode="json")

    def problem(self) -> str:
        """Something that the parameters name but that is missing, as "field: why"; else "". Checked before a run."""
        return ""

    def unused_tasks(self) -> frozenset[str]:
        """Template tasks of the stage that are not needed with these parameters."""
        return frozenset()

    def roles(self) -> tuple[str, ...]:
        """Roles that these parameters need beyond the stage's own."""
        return ()


@dataclass(frozen=True)
class Lot:
    """A fixed slice of the endless sample stream: samples ``start … start + size - 1``."""

    index: int
    size: int

    @property
    def start(self) -> int:
        """The index of the first sample."""
        return self.index * self.size


@dataclass(frozen=True)
class Context:
    """All that a stage may use besides its input tables."""

    name: str  # the stage's name in the graph; part of every seed
    seed: int  # the recipe's
    lot: Lot
    params: Any  # the stage's own Params
    vocabulary: Vocabulary
    models: Mapping[str, Any] = field(default_factory=dict)  # by role
    templates: Mapping[str, list[Template]] = field(default_factory=dict)  # by task

    def seed_for(self, *parts: str | int) -> int:
        """A seed in [0, 2^63) for one draw of this stage, named by `parts`, e.g. (sample, step)."""
        return derive_seed(self.seed, self.name, *parts)

    def random_for(self, *parts: str | int) -> Any:
        """A random generator for one draw of this stage, named by `parts`."""
        return derive_random(self.seed, self.name, *parts)


@dataclass(frozen=True)
class Failure:
    """One unit that failed: it goes to quarantine, with all that explains why."""

    unit: str  # e.g. "sample 12, rollout 0, step 2"
    error: str  # the exception's class
    message: str
    request: str = ""  # the rendered prompt, where there was one
    response: str = ""  # what the model answered
    trace: str = ""

    @classmethod
    def of(cls, unit: str, error: BaseException, request: str = "", response: str = "") -> Failure:
        """The failure that an exception means for a unit, with the exception's traceback."""
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
        """Count units that the stage begins to work on."""
        self.entered += units

    def keep(self, units: int = 1) -> None:
        """Count units that are in the stage's table."""
        self.kept += units

    def reject(self, reason: str, units: int = 1) -> None:
        """Count units that were dropped for a reason."""
        self.rejected[reason] += units

    def fail(self, failure: Failure) -> None:
        """Count a unit that failed."""
        self.failures.append(failure)

    def summary(self) -> dict[str, Any]:
        """{"entered", "kept", "rejected" (by reason), "failed" (by class of error)}, as a manifest has it."""
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
    """What a stage makes from a lot. Raises ValueError where the ledger does not balance."""

    table: pa.Table
    ledger: Ledger

    def __post_init__(self) -> None:
        if not balances(self.ledger.summary()):
            raise ValueError(f"the ledger does not balance: {self.ledger.summary()}")


@dataclass(frozen=True)
class Stage:
    """A stage's declaration: all that the engine needs to run, cache and explain it."""

    name: str
    unit: str  # what its ledger counts, e.g. "prompts"
    inputs: tuple[str, ...]  # the stages whose tables it reads
    schema: pa.Schema
    params: type[Params]
    run: Callable[[Context, Mapping[str, pa.Table]], Outcome]
    roles: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()  # the template tasks it renders
    key: tuple[str, ...] = ("sample", "rollout", "step", "side")  # those of these columns that it has name a kept unit

    def narrowed(self, params: Params) -> Stage:
        """The stage with only the tasks and roles that these parameters need.

        A stage all of whose tasks are left out loses its own roles, too.
        """
        tasks = tuple(t for t in self.tasks if t not in params.unused_tasks())
        roles = self.roles if tasks or not self.tasks else ()
        return replace(self, tasks=tasks, roles=(*roles, *(r for r in params.roles() if r not in roles)))


def outcome(schema: pa.Schema, rows: list[dict[str, Any]], ledger: Ledger) -> Outcome:
    """Rows as a table of the stage's schema, with the ledger."""
    return Outcome(pa.Table.from_pylist(rows, schema=schema), ledger)


def pick_template(context: Context, task: str, unit: str, named: str = "") -> Template:
    """The template `named` if the stage has it; else one drawn by weight, which is the same for a unit in every run."""
    templates = context.templates[task]
    if mine := [t for t in templates if t.id == named]:
        return mine[0]
    return context.random_for("template", unit).choices(templates, [t.weight for t in templates])[0]
