"""What a stage is: a pure function from one lot's tables to the next table, and a declaration of what it needs.

A new stage is one file with a row's class, a class of parameters, a ``run(context, tables)`` and a ``STAGE``, and a
line in stages/all_stages.py; see draft.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from typing import Annotated, Any, Generic, TypeVar

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeFloat

from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.common.ledger import Ledger, Unit, balances
from underpaint.stages.common.roles import Models, Speaker
from underpaint.stages.common.rows import schema_of
from underpaint.stages.common.seeds import derive_random, derive_seed
from underpaint.stages.common.templating import Template

Choice = TypeVar("Choice")


def _weights(weights: dict[Any, float]) -> dict[Any, float]:
    if not any(weights.values()):
        raise ValueError("all weights are 0")
    return dict(sorted(weights.items()))


# Relative weights of a draw, sorted by key: a draw depends on their order, which must not depend on the recipe's text.
Weights = Annotated[dict[Choice, NonNegativeFloat], Field(min_length=1), AfterValidator(_weights)]


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


P = TypeVar("P", bound=Params)
P_co = TypeVar("P_co", bound=Params, covariant=True)


@dataclass(frozen=True)
class Lot:
    """A fixed slice of the endless sample stream: samples ``start … start + size - 1``."""

    index: int
    size: int

    @property
    def start(self) -> int:
        """The lot's first sample."""
        return self.index * self.size


@dataclass(frozen=True)
class Context(Generic[P_co]):
    """All that a stage may use besides its input tables."""

    name: str  # the stage's name in the graph; part of every seed
    seed: int  # the recipe's
    lot: Lot
    params: P_co
    vocabulary: Vocabulary
    models: Models = field(default_factory=lambda: Models())
    templates: Mapping[str, list[Template]] = field(default_factory=dict)  # by task
    named: Mapping[str, Speaker] = field(default_factory=dict)  # by name, the models that templates ask for themselves

    def seed_for(self, *parts: str | int) -> int:
        """A seed in [0, 2^63) for one decision of this stage, e.g. for (sample, step)."""
        return derive_seed(self.seed, self.name, *parts)

    def random_for(self, *parts: str | int) -> Random:
        """A generator for one decision of this stage."""
        return derive_random(self.seed, self.name, *parts)

    def speaker(self, template: Template) -> Speaker:
        """The model that a template is put to: the one that it names, else the one that plays its role."""
        return self.named[template.model] if template.model else self.models[template.role]

    def pick_template(self, task: str, unit: Unit, named: str = "") -> Template:
        """The named one where the stage has it, else one of the task's by weight, the same for a unit in every run."""
        templates = self.templates[task]
        if mine := [t for t in templates if t.id == named]:
            return mine[0]
        return self.random_for("template", str(unit)).choices(templates, [t.weight for t in templates])[0]


@dataclass(frozen=True)
class Outcome:
    """What a stage makes from a lot. Raises ValueError where the ledger does not balance."""

    table: pa.Table
    ledger: Ledger

    def __post_init__(self) -> None:
        if not balances(self.ledger.summary()):
            raise ValueError(f"the ledger does not balance: {self.ledger.summary()}")


Tables = Mapping[str, pa.Table]  # a lot's input tables, by the name of the stage that made them


@dataclass(frozen=True)
class Stage(Generic[P]):
    """A stage's declaration: all that the engine needs to run, cache and explain it."""

    name: str
    unit: str  # what its ledger counts, e.g. "prompts"
    branches: tuple[str, ...]  # whose lots it works on; see `stages.all_stages`
    inputs: tuple[str, ...]  # the stages whose tables it reads
    row: type  # the TypedDict of its table's rows
    params: type[P]
    run: Callable[[Context[P], Tables], Outcome]
    roles: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()  # the template tasks it renders
    asks_like: str = ""  # the stage whose templates and settings of the judge it shares, where that is another
    # The columns (of those it has) that name a unit kept. Without any its units are not counted by category of prompt.
    key: tuple[str, ...] = ("sample", "rollout", "step")

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of its table."""
        return schema_of(self.row)

    def narrowed(self, params: Params) -> Stage[P]:
        """The stage with only the tasks and roles that these parameters need.

        A stage all of whose tasks are left out loses its own roles, too.
        """
        tasks = tuple(t for t in self.tasks if t not in params.unused_tasks())
        roles = self.roles if tasks or not self.tasks else ()
        return replace(self, tasks=tasks, roles=(*roles, *(r for r in params.roles() if r not in roles)))


def outcome(row: type, made: Sequence[Mapping[str, Any]], ledger: Ledger) -> Outcome:
    """Rows as a table of their class's schema, with the ledger."""
    return Outcome(pa.Table.from_pylist(list(made), schema=schema_of(row)), ledger)
