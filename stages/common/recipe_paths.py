"""Paths in a recipe's fields: as they are written, until the recipe is read; absolute from then on.

Who reads a recipe gives ``context={"resolve": function}`` to pydantic; a field of one of these types is then resolved
wherever it stands.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from underpaint.stages.models.checkpoint import is_folder


def _resolved(value: str, info: ValidationInfo) -> str:
    return str(info.context["resolve"](value)) if info.context else value


RecipePath = Annotated[str, AfterValidator(_resolved)]
# A folder where it begins with a dot, else a hub id.
CheckpointPath = Annotated[str, AfterValidator(lambda path, info: _resolved(path, info) if is_folder(path) else path)]
