"""Mutations that Cosmic Ray lacks and that corpora suffer from: the best for the worst, a rule that is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import parso
from cosmic_ray.operators.operator import Example, Operator

Position = tuple[tuple[int, int], tuple[int, int]]
OTHER = {"min": "max", "max": "min", "any": "all", "all": "any", "in": "not in"}


class OneWay(Operator):
    """An operator that changes a node in one way or not at all."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if self.concerns(node):
            yield node.start_pos, node.end_pos

    def concerns(self, node: Any) -> bool:
        raise NotImplementedError


class SwapExtreme(OneWay):
    """The worst for the best, one for all: min and max, any and all (of Python and of numpy)."""

    def concerns(self, node: Any) -> bool:
        return node.type == "name" and node.value in ("min", "max", "any", "all")

    def mutate(self, node: Any, index: int) -> Any:
        node.value = OTHER[node.value]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("min(x)", "max(x)"),)


class InNotIn(OneWay):
    """``in`` and ``not in``, ``for`` loops apart."""

    def concerns(self, node: Any) -> bool:
        return node.type == "comparison" and node.children[1].get_code().split() in (["in"], ["not", "in"])

    def mutate(self, node: Any, index: int) -> Any:
        there = node.children[1].get_code().split() == ["in"]
        node.children[1] = parso.parse(" not in" if there else " in")
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("x in y", "x not in y"),)


class SwapOperands(OneWay):
    """``a - b`` turned to ``b - a``: a difference with its sign flipped."""

    def concerns(self, node: Any) -> bool:
        return node.type == "arith_expr" and len(node.children) == 3 and node.children[1].get_code().strip() == "-"

    def mutate(self, node: Any, index: int) -> Any:
        first, minus, second = (child.get_code() for child in node.children)
        return parso.parse(f"{node.get_first_leaf().prefix}{second.strip()} {minus.strip()} {first.strip()}")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("x = a - b", "x = b - a"),)


class DropCall(OneWay):
    """A call that stands by itself, as a rule's ``faulty.add(key)``, is left out."""

    def concerns(self, node: Any) -> bool:
        alone = node.parent is not None and node.parent.type == "simple_stmt"
        return alone and node.type == "atom_expr" and node.children[-1].get_code().startswith("(")

    def mutate(self, node: Any, index: int) -> Any:
        return parso.parse(f"{node.get_first_leaf().prefix}None")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("found.add(x)", "None"),)


class DropCondition(OneWay):
    """The condition of a comprehension is left out."""

    def concerns(self, node: Any) -> bool:
        return node.type in ("comp_if", "old_comp_if")

    def mutate(self, node: Any, index: int) -> Any:
        node.children[1] = parso.parse(" True")
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("[x for x in y if x]", "[x for x in y if True]"),)


class Provider(dict[str, type[Operator]]):
    """What Cosmic Ray asks for operators by name."""

    def __init__(self) -> None:
        super().__init__({o.__name__: o for o in (SwapExtreme, InNotIn, SwapOperands, DropCall, DropCondition)})
