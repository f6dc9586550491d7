"""People's decisions about candidates: JSON lines in the run's folder, which the selection applies.

A decision holds for what a person saw (kind and content: the scene with its texts or picture), not for an id, since
every selection gives new ids. "reject" takes a candidate out. "accept" lets it pass the thresholds on scores and
agreement, but not a fault, a benchmark's prompt or a duplicate. Of several lines about one candidate the last counts.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from underpaint.pipeline.common.errors import UserError

FILE = "decisions.jsonl"


class Decision(BaseModel):
    """`kind` and `content` are columns of the candidates' tables; `id` and `prompt` are for people reading the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: str
    content: int
    decision: Literal["accept", "reject"]
    reason: str = Field(default="", max_length=2000)
    id: str = ""
    prompt: str = ""


Decisions = dict[tuple[str, int], Decision]  # by kind and content


def load_decisions(root: Path) -> Decisions:
    """All decisions of a run; empty where there is no file. Raises UserError naming the line that is no decision."""
    file, found = root / FILE, Decisions()
    text = file.read_text(encoding="utf-8").removesuffix("\n") if file.exists() else ""
    for number, line in enumerate(text.split("\n") if text else (), 1):  # splitlines splits within reasons, too
        try:
            one = Decision.model_validate_json(line)
        except ValidationError as e:
            first = e.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise UserError(f"{file}, line {number}: field {where}: {first['msg']}; mend or delete the line") from None
        found[one.kind, one.content] = one
    return found


def add_decision(root: Path, decision: Decision) -> None:
    """Append a decision to the file; it is on disk when this returns."""
    line = json.dumps(decision.model_dump(), ensure_ascii=False) + "\n"
    with (root / FILE).open("a", encoding="utf-8") as f:
        f.write(line)
        f.flush()
        os.fsync(f.fileno())
