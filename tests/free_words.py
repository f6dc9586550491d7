"""A writer whose instructions no grammar reads, and a judge that understands them, for recipes of the kind `python`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from underpaint.stages.common.roles import AskRequest
from underpaint.stages.models.symbolic import Symbolic

WORLD = "underpaint.miniature.world"
KINDLY = "With a light hand: "


class KindWriter(Symbolic):
    """Plans as the symbolic writer does, in words of its own."""

    def __init__(self) -> None:
        super().__init__(WORLD, fault_rate=0.25)

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        return [a.replace("<ins>", f"<ins>{KINDLY}") for a in super().ask(requests)]


class Understanding(Symbolic):
    """Judges these steps rightly, and answers every check: no where a cup is spoken of, else yes."""

    def __init__(self) -> None:
        super().__init__(WORLD)

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        return [
            self._checked(r) if r.task.startswith("check_") else super(Understanding, self).ask([_plain(r)])[0]
            for r in requests
        ]

    def _checked(self, request: AskRequest) -> str:
        cup = "cup" in request.context.get("instruction", "")
        return json.dumps({"why": "There is a cup." if cup else "It is fine.", "answer": "no" if cup else "yes"})


def _plain(request: AskRequest) -> AskRequest:
    said = {k: str(v).replace(KINDLY, "") for k, v in request.context.items()}
    return replace(request, context=said)
