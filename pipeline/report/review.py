"""Lets a person review a corpus: serves a page on this machine with samples and buttons that write decisions.

The server listens only on 127.0.0.1, and answers only under a secret path and its own host name.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import ValidationError

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.corpus.assemble import Assembler
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.report.pages import render_page
from underpaint.pipeline.report.report import view_sample
from underpaint.pipeline.selection.decisions import Decision, Decisions, add_decision, load_decisions
from underpaint.pipeline.selection.reference import Reference

MAX_DECISION_BYTES = 10_000  # a posted decision has at most so many bytes


class Reviewed:
    """The chosen samples of a run's corpus, and what was decided about them."""

    def __init__(self, run: Run) -> None:
        """Read a run's selection and decisions. Raises UserError where there is no corpus yet."""
        chosen = run.root / "selection.jsonl"
        if not chosen.exists() or not (run.corpus / "index.json").exists():
            raise UserError(f"{run.root} holds no corpus yet; build it first")
        self.run, self._lock = run, threading.Lock()
        self.references = {r.id: r for r in (Reference(**json.loads(x)) for x in chosen.read_text().splitlines())}
        table = run.candidates().table(run.lots_done()).select(["kind", "sample", "rollout", "step", "content"])
        self._content = {tuple(list(r.values())[:4]): r["content"] for r in table.to_pylist()}
        self.decisions: Decisions = load_decisions(run.root)

    def views(self, chosen: Sequence[Reference]) -> dict[str, Any]:
        """By id, the values that the page shows of each sample."""
        if not chosen:
            return {}
        assemble = Assembler(self.run.recipe, self.run.nodes, self.run.store)
        return {r.id: view_sample(*assemble(r)) for r in chosen}

    def about(self, id: str) -> Decision | None:
        """The decision about a sample, if there is one. Raises UserError for an unknown sample."""
        return self.decisions.get(self._key(id))

    def decide(self, id: str, decision: str, reason: str, prompt: str = "") -> Decision:
        """Write a decision. Raises UserError for an unknown sample, or a decision that is neither accept nor reject."""
        kind, content = self._key(id)
        try:
            made = Decision(kind=kind, content=content, decision=decision, reason=reason, id=id, prompt=prompt)  # type: ignore[arg-type]
        except ValidationError as e:
            raise UserError(f"{id}: {e.errors()[0]['msg']}") from None
        with self._lock:
            add_decision(self.run.root, made)
            self.decisions[kind, content] = made
        return made

    def _key(self, id: str) -> tuple[str, int]:
        r = self.references.get(id)
        if r is None or (r.name, r.sample, r.rollout, r.step) not in self._content:
            raise UserError(f"{self.run.root} has chosen no sample {id!r}; build or select again, or give another id")
        return r.name, self._content[r.name, r.sample, r.rollout, r.step]


def serve(reviewed: Reviewed, port: int, kind: str, limit: int) -> tuple[ThreadingHTTPServer, str]:
    """A server and its address; the page has up to `limit` samples of a kind ("" is all), undecided ones first."""
    chosen = [r for r in reviewed.references.values() if kind in ("", r.name)]
    chosen.sort(key=lambda r: reviewed.about(r.id) is not None)
    shown = reviewed.views(chosen[:limit])
    token = secrets.token_urlsafe(16)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self._welcome(f"/{token}/"):
                return self._reply(404, b"not found", "text/plain")
            decided = {id: reviewed.about(id) for id in shown}
            page = render_page("review.html.j2", recipe=reviewed.run.recipe.name, views=shown, decided=decided)
            self._reply(200, page, "text/html; charset=utf-8")

        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            json_sent = self.headers.get("Content-Type") == "application/json"  # other sites' forms cannot send it
            if not self._welcome(f"/{token}/decide") or not json_sent or size > MAX_DECISION_BYTES:
                return self._reply(404, b"not found", "text/plain")
            try:
                said: Mapping[str, Any] = json.loads(self.rfile.read(size))
                id = str(said["id"])
                prompt = shown[id]["sample"].prompt
                made = reviewed.decide(id, str(said["decision"]), str(said.get("reason", "")), prompt)
            except (ValueError, KeyError, TypeError, UserError) as e:
                return self._reply(400, str(e).encode(), "text/plain")
            self._reply(200, made.model_dump_json().encode(), "application/json")

        def _welcome(self, path: str) -> bool:
            host = (self.headers.get("Host") or "").rpartition(":")[0]
            return host in ("127.0.0.1", "localhost") and secrets.compare_digest(self.path.encode(), path.encode())

        def _reply(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    return server, f"http://127.0.0.1:{server.server_address[1]}/{token}/"
