"""Tells which template a question was rendered from, and with which variables, as a model tells it by reading.

A template is rendered with marks in the place of its variables; what stands there in a question is their value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, combinations, product

from underpaint.stages.common.templating import BUILT_IN, Template, load_templates
from underpaint.stages.prompting.tasks import TASKS

MARK = "\N{SNOWMAN}"


class Unrendering:
    """The built-in templates as patterns."""

    def __init__(self) -> None:
        found = chain.from_iterable(load_templates([BUILT_IN]).values())
        self.patterns = [(template, pattern) for template in found for pattern in _patterns(template)]

    def read(self, text: str) -> tuple[Template, dict[str, str]]:
        """The template of a question, and its variables. Raises LookupError."""
        for template, (pattern, fixed) in self.patterns:
            if match := pattern.fullmatch(text.strip()):
                return template, {**fixed, **match.groupdict()}
        raise LookupError(f"of no template: {text[:400]}")


def _patterns(template: Template) -> Iterator[tuple[re.Pattern[str], dict[str, str]]]:
    """Every way in which a template renders: with each of its pictures or without, and with each optional variable."""
    task = TASKS[template.task]
    marked = {name: f"{MARK}{name}{MARK}" for name in task.known if name not in ("shown", "side")}
    open_ones = [name for name in task.optional if name in template.body]
    sides = ("picture", "text") if "side" in task.known else ("",)
    for shown, unsaid, side in product(_subsets(template.pictures), reversed(_subsets(open_ones)), sides):
        said = {**marked, **dict.fromkeys(unsaid, ""), **({"side": side} if side else {})}
        parts = re.split(f"{MARK}(.+?){MARK}", template.render(shown=shown, **said).strip())
        seen: set[str] = set()
        pattern = ""
        for i, part in enumerate(parts):
            if i % 2 == 0:
                pattern += re.escape(part)
            else:
                pattern += f"(?P={part})" if part in seen else f"(?P<{part}>.*?)"
                seen.add(part)
        yield re.compile(pattern, re.DOTALL), {"side": side}


def _subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    return [*chain.from_iterable(combinations(names, n) for n in range(len(names), -1, -1))]
