"""Tells which template a question was rendered from, and with which variables, as a model tells it by reading.

A template is rendered with marks in the place of its variables; what stands there in a question is their value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, combinations

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
        for template, pattern in self.patterns:
            if match := pattern.fullmatch(text.strip()):
                return template, match.groupdict()
        raise LookupError(f"of no template: {text[:400]}")


def _patterns(template: Template) -> Iterator[re.Pattern[str]]:
    names = [n for n in TASKS[template.task].known if n != "shown"]
    marked = {name: f"{MARK}{name}{MARK}" for name in names}
    for shown in chain.from_iterable(combinations(template.pictures, n) for n in range(len(template.pictures), -1, -1)):
        parts = re.split(f"{MARK}(.+?){MARK}", template.render(shown=shown, **marked).strip())
        seen: set[str] = set()
        pattern = ""
        for i, part in enumerate(parts):
            if i % 2 == 0:
                pattern += re.escape(part)
            else:
                pattern += f"(?P={part})" if part in seen else f"(?P<{part}>.*?)"
                seen.add(part)
        yield re.compile(pattern, re.DOTALL)
