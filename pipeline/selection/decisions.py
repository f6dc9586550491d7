"""Human decisions: JSON lines in the run's folder, which the selection applies. A later line about the same one counts.

A decision holds for what was seen (kind and content: the scene with its texts or picture), not for an id: ids are given
anew with every selection. "reject" takes a candidate out. "accept" lets it pass the thresholds on scores and agreement;
it overrules neither a benchmark's prompt nor a duplicate, and mends no fault.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from underpaint.pipeline.errors import UserError

FILE = "decisions.jsonl"


class Decision(BaseModel):
    """`content` is the column of the candidates' tables; `id` and `prompt` are for the reader of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: str
    content: int
    decision: Literal["accept", "reject"]
    reason: str = Field(default="", max_length=2000)
    id: str = ""
    prompt: str = ""


Decisions = dict[tuple[str, int], Decision]  # by kind and content


def load_decisions(root: Path) -> Decisions:
    """None where there is no file. Raises UserError naming the line that is no decision."""
    file, found = root / FILE, Decisions()
    text = file.read_text(encoding="utf-8").removesuffix("\n") if file.exists() else ""
    for number, line in enumerate(text.split("\n") if text else (), 1):  # splitlines ends lines within a reason too
        try:
            one = Decision.model_validate_json(line)
        except ValidationError as e:
            first = e.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise UserError(f"{file}, line {number}: field {where}: {first['msg']}; mend or delete the line") from None
        found[one.kind, one.content] = one
    return found


def add_decision(root: Path, decision: Decision) -> None:
    """Append it; on disk when this returns."""
    line = json.dumps(decision.model_dump(), ensure_ascii=False) + "\n"
    with (root / FILE).open("a", encoding="utf-8") as f:
        f.write(line)
        f.flush()
        os.fsync(f.fileno())
