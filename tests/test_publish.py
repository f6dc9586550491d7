"""Publishing: what a hub on this machine receives is the corpus, and what is said never holds the token."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from factories import write_tiny_corpus
from huggingface_hub import constants
from typer.testing import CliRunner, Result

from underpaint.pipeline.cli.main import app
from underpaint.pipeline.common.errors import UserError

TOKEN = "hf_this_is_the_secret"
REPO = "lab/tiny"


class Hub(ThreadingHTTPServer):
    """The five requests of an upload, as the hub answers them; `files` is what the repository holds."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes] = {"multi_turn/mtg-train-000099.tar": b"of a former version", "NOTES.md": b"mine"}
        self.blobs: dict[str, bytes] = {}
        self.created: dict[str, Any] = {}
        self.tokens: set[str | None] = set()
        self.refuse = 0


class Requests(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        if "/tree/" in self.path:
            listed = [
                {"type": "file", "path": p, "size": len(d), "oid": "0" * 40} for p, d in self.server.files.items()
            ]
            self.reply(listed)
        else:
            siblings = [{"rfilename": path} for path in self.server.files]
            self.reply({"id": REPO, "_id": "0", "sha": "1" * 40, "siblings": siblings, "tags": [], "private": True})

    def do_PUT(self) -> None:
        self.server.blobs[self.path.rpartition("/")[2]] = self.body()
        self.reply({})

    def do_POST(self) -> None:
        self.server.tokens.add(self.headers.get("Authorization"))
        if self.server.refuse:
            self.body()
            self.reply({"error": f"no {TOKEN}"}, self.server.refuse)
        elif self.path == "/api/repos/create":
            self.server.created = json.loads(self.body())
            self.reply({"url": f"{self.server.url}/datasets/{REPO}", "id": REPO})
        elif self.path == "/api/validate-yaml":
            self.body()
            self.reply({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = [f["path"] for f in json.loads(self.body())["files"]]
            self.reply({"files": [{"path": f, "uploadMode": self.mode(f), "shouldIgnore": False} for f in files]})
        elif self.path.endswith("/info/lfs/objects/batch"):
            wanted = json.loads(self.body())["objects"]
            where = [{**o, "actions": {"upload": {"href": f"{self.server.url}/blob/{o['oid']}"}}} for o in wanted]
            self.reply({"transfer": "basic", "objects": where})
        else:
            self.commit([json.loads(line) for line in self.body().splitlines()])
            self.reply({"commitUrl": f"{self.server.url}/datasets/{REPO}/commit/{'2' * 40}", "commitOid": "2" * 40})

    def mode(self, path: str) -> str:
        return "lfs" if path.endswith((".tar", ".parquet")) else "regular"

    def commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            kind, value = line["key"], line["value"]
            if kind == "file":
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            elif kind == "lfsFile":
                self.server.files[value["path"]] = self.server.blobs[value["oid"]]
            elif kind == "deletedFile":
                del self.server.files[value["path"]]

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reply(self, value: Any, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name, value in {"ENDPOINT": server.url, "HF_HUB_DISABLE_XET": True, "HF_HUB_OFFLINE": False}.items():
        monkeypatch.setattr(constants, name, value)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_tiny_corpus(tmp_path / "corpus")


def publish(corpus: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["publish", str(corpus), "--repo", REPO, *more])


def test_without_yes_nothing_leaves_this_machine(hub: Hub, corpus: Path) -> None:
    (corpus / "notes.txt").write_text("not part of the corpus")
    done = publish(corpus, "--json")
    assert done.exit_code == 0 and not hub.created and "README.md" not in hub.files
    said = json.loads(done.stdout)
    listed = {f["path"]: f["bytes"] for f in said["files"]}
    assert "notes.txt" not in listed and said["bytes"] == sum(listed.values())
    assert all((corpus / path).stat().st_size == size for path, size in listed.items())
    assert f"with --yes they go to {REPO} (private if new)" in publish(corpus).stdout


def test_what_the_hub_receives_is_the_corpus(hub: Hub, corpus: Path) -> None:
    (corpus / "multi_turn" / "mtg-train-000000.tar.idx").write_bytes(b"another reader's")
    done = publish(corpus, "--yes")
    assert done.exit_code == 0, done.exception
    mine = {p.relative_to(corpus).as_posix(): p.read_bytes() for p in corpus.rglob("*") if p.suffix not in (".idx", "")}
    sums = {"SHA256SUMS": (corpus / "SHA256SUMS").read_bytes()}
    assert hub.files == {"NOTES.md": b"mine", **mine, **sums}  # the former version's shard is gone, the note is not
    assert hub.created["type"] == "dataset"
    assert hub.created.get("visibility") == "private" or hub.created.get("private") is True  # by hub library's version
    assert hub.tokens == {f"Bearer {TOKEN}"} and TOKEN not in done.output
    assert not [p for p in corpus.rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]


def test_a_corpus_that_does_not_verify_is_not_published(hub: Hub, corpus: Path) -> None:
    (corpus / "croissant.json").write_text("{}")
    refused = publish(corpus, "--yes")
    assert isinstance(refused.exception, UserError) and not hub.created
    assert "is not published, it does not verify: croissant.json" in str(refused.exception)


def test_what_the_hub_refuses_is_said_without_the_token(hub: Hub, corpus: Path) -> None:
    hub.refuse = 403
    refused = publish(corpus, "--yes")
    assert str(refused.exception) == (
        "the hub refused lab/tiny with HTTP 403; set HF_TOKEN to a token that may write there"
    )


def test_a_wrong_name_and_a_wrong_folder(tmp_path: Path) -> None:
    wrong = CliRunner().invoke(app, ["publish", str(tmp_path), "--repo", "https://huggingface.co/lab/tiny"])
    assert isinstance(wrong.exception, UserError) and "write owner/name" in str(wrong.exception)
    assert "holds no corpus" in str(publish(tmp_path).exception)
