"""Loads YAML strictly: safe, and a field given twice is an error, instead of the last one silently counting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


class _StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> Any:
    """Load a YAML file. Raises OSError where it cannot be read, ValueError naming the line where it is no YAML."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # a SafeLoader
    except yaml.MarkedYAMLError as e:
        line = f"line {e.problem_mark.line + 1}: " if e.problem_mark else ""
        raise ValueError(f"no valid YAML: {line}{e.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ValueError(f"no valid YAML: {e}") from None
