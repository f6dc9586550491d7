"""Paths in a recipe's fields: as they are written until the recipe is read, absolute from then on.

Whoever reads a recipe gives ``context={"resolve": function}`` to pydantic; a field of one of these types is then
resolved wherever it stands.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

OF_PACKAGE = "underpaint:"  # begins a path into the package itself


def is_folder(checkpoint: str) -> bool:
    """Whether a recipe's checkpoint is a folder rather than a hub id. A loaded recipe has absolute paths."""
    return checkpoint.startswith(("/", "./", "../", OF_PACKAGE))


def _resolved(value: str, info: ValidationInfo) -> str:
    return str(info.context["resolve"](value)) if info.context else value


RecipePath = Annotated[str, AfterValidator(_resolved)]
# A folder where it begins with a dot, else a hub id.
CheckpointPath = Annotated[str, AfterValidator(lambda path, info: _resolved(path, info) if is_folder(path) else path)]
