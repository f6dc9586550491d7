"""Models behind an OpenAI-compatible endpoint, against a server on this machine; nothing leaves it."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, underpaint
from fake_endpoint import painted, said, serving
from PIL import Image

from underpaint.miniature.world import vocabulary
from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.engine.remote_answers import Journal
from underpaint.pipeline.engine.retry import FailedLot, undo
from underpaint.pipeline.engine.run_folder import open_run
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.stages.common.ledger import Failure, Unit
from underpaint.stages.common.painting import paint_all
from underpaint.stages.common.roles import Answer, AskRequest, ModelUnavailable, PaintRequest, each
from underpaint.stages.models.endpoint import Endpoint, EndpointError
from underpaint.stages.models.kinds import OpenAIConfig
from underpaint.stages.models.symbolic import Symbolic

Write = Callable[[dict[str, Any]], Path]
RED = Image.new("RGB", (16, 16), (255, 0, 0))


def config(url: str, **more: Any) -> OpenAIConfig:
    return OpenAIConfig(kind="openai", base_url=url, model="fake", revision="1", size=16, retries=2, **more)


def ask(text: str, picture: Image.Image | None = None, **more: Any) -> AskRequest:
    return AskRequest("critique_picture", text, seed=2**40 + 5, pictures=(picture,) if picture else (), **more)


def test_a_question_with_its_picture_seed_and_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KEY", "sk-secret")
    with serving(lambda path, body: (200, said(" yes "))) as server:
        model = config(server.url, key="FAKE_KEY", extra={"top_p": 0.9}).load()
        assert model.ask([ask("What is red?", RED, temperature=0.5), ask("Why?")]) == [Answer("yes"), Answer("yes")]
        first = next(s for s in server.seen if "image_url" in json.dumps(s[2]))
    path, headers, body = first
    assert path == "/v1/chat/completions" and headers["authorization"] == "Bearer sk-secret"
    assert (body["model"], body["temperature"], body["seed"], body["top_p"]) == ("fake", 0.5, 5, 0.9)
    picture, text = body["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is red?"}
    sent = Image.open(io.BytesIO(base64.b64decode(picture["image_url"]["url"].removeprefix("data:image/png;base64,"))))
    assert sent.tobytes() == RED.tobytes()


def test_busy_servers_are_asked_again_and_refusals_are_not() -> None:
    tries: Counter[str] = Counter()

    def answer(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        text = body["messages"][0]["content"]
        tries[text] += 1
        if text == "busy" and tries[text] < 3:
            return (429 if tries[text] == 1 else 503), {"error": {"message": "later"}}
        if text in ("broken", "refused"):
            return (500 if text == "broken" else 400), {"error": {"message": "no"}}
        return 200, said("done")

    with serving(answer) as server:
        model = config(server.url).load()
        words = ["busy", "broken", "refused", "fine"]
        found = each(model.ask, [ask(w) for w in words])
    assert found[0] == found[3] == Answer("done")
    assert [type(f) for f in found[1:3]] == [EndpointError] * 2
    assert "500" in str(found[1]) and "400" in str(found[2])
    # What failed for good is not sent again when its batch is divided, and nothing that was answered is.
    assert tries == {"busy": 3, "broken": 3, "refused": 1, "fine": 1}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_key_stops_the_lot_and_is_not_repeated(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KEY", "sk-secret")
    with serving(lambda path, body: (status, {"error": {"message": "no access for sk-secret"}})) as server:
        model = config(server.url, key="FAKE_KEY").load()
        with pytest.raises(ModelUnavailable, match=r"fake at http://127.*\[key\]") as refused:
            each(model.ask, [ask("a"), ask("b")])
    assert "sk-secret" not in str(refused.value)


@pytest.mark.parametrize(("status", "code"), [(429, "insufficient_quota"), (402, "")])
def test_an_account_that_is_used_up_stops_the_lot(status: int, code: str) -> None:
    refusal = {"error": {"message": "no credit", "code": code}}
    with serving(lambda path, body: (status, refusal)) as server, pytest.raises(ModelUnavailable, match="no credit"):
        each(config(server.url).load().ask, [ask("a")])


def test_a_temperature_is_left_out_for_a_model_that_takes_none() -> None:
    with serving(lambda path, body: (200, said("x"))) as server:
        quiet = config(server.url, send_temperature=False)
        quiet.load().ask([ask("a", temperature=0.5)])
        config(server.url).load().ask([ask("a", temperature=0.5)])
        first, second = (body for _, _, body in server.seen)
    assert "temperature" not in first and second["temperature"] == 0.5
    assert quiet.identity() != config(server.url).identity()
    judge = load_recipe(ROOT / "recipes" / "bagel_self_sampling.yaml").model_for("judge")
    assert not judge.send_temperature and judge.max_tokens > 10_000  # gpt-5 refuses any temperature but its own


def test_no_server_is_no_rows_fault() -> None:
    with serving(lambda path, body: (200, said("x"))) as server:
        url = server.url
    with pytest.raises(ModelUnavailable):
        each(Endpoint(base_url=url, model="fake", retries=0).ask, [ask("a")])


def test_pictures_are_generated_then_edited() -> None:
    with serving(lambda path, body: (200, painted(Image.new("RGB", (32, 32), (0, 0, 255))))) as server:
        model = config(server.url, concurrency=1).load()
        made = model.paint([PaintRequest(None, "Paint a cup.", "A cup.", 1), PaintRequest(RED, "Add a fish.", "", 2)])
        (first, _, asked), (second, _, edited) = server.seen
    assert [p.size for p in made] == [(16, 16)] * 2 and made[0].getpixel((3, 3)) == (0, 0, 255)
    assert first == "/v1/images/generations" and second == "/v1/images/edits"
    assert asked["prompt"] == "Paint a cup." and asked["seed"] == 1 and asked["size"] == "16x16"
    assert b"Add a fish." in edited["raw"] and b"\x89PNG" in edited["raw"] and b'name="seed"' in edited["raw"]


def test_a_picture_that_is_none_costs_its_row_only() -> None:
    def answer(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["prompt"] == "torn":
            return 200, {"created": 0, "data": [{"b64_json": base64.b64encode(b"GIF89a").decode()}]}
        return 200, painted(RED) if body["prompt"] == "good" else {"created": 0, "data": [{"url": "http://x/y.png"}]}

    with serving(answer) as server:
        made = paint_all(config(server.url).load(), [PaintRequest(None, w, "", 1) for w in ("good", "torn", "link")])
    assert isinstance(made[0], bytes) and [type(m).__name__ for m in made[1:]] == ["PictureError", "EndpointError"]


def test_a_lot_begun_again_asks_only_for_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "lots" / "lot-00000000.answers.jsonl"
    with serving(lambda path, body: (200, said(body["messages"][0]["content"].upper()))) as server:
        model = config(server.url).load()
        model.remember(Journal(file))
        model.ask([ask("a"), ask("b")])
        with file.open("a") as f:
            f.write('["torn')  # killed while it wrote
        journal = Journal(file)
        assert len(journal) == 2
        model.remember(journal)
        assert model.ask([ask("a"), ask("b"), ask("c")]) == [Answer("A"), Answer("B"), Answer("C")]
        assert len(server.seen) == 3
        assert journal.forget({ask("b").digest}) == 1
        assert [record["text"] for record in Journal(file).values()] == ["A", "C"]


def test_a_retry_asks_nothing_again_that_did_not_fail(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    """A failed row names the requests whose answers failed it, each by its digest; one may have no answer at all."""
    run = open_run(write_recipe(recipe), tmp_path / "run")
    node = run.nodes["critique"]
    journal = Journal(run.store.journal(node, 0))
    votes = [AskRequest("critique_text", "q", seed) for seed in range(3)]
    other, unanswered = AskRequest("critique_text", "q", 7), AskRequest("critique_text", "q", 8)
    for request, answer in zip([*votes, other], ["{", "[", "1", "good"], strict=True):
        journal[request.digest] = answer
    failure = asdict(Failure.of(Unit(3, 0, 1), ValueError("divided"), "q", side="text", asked=[*votes, unanswered]))
    assert [failure[k] for k in ("sample", "rollout", "step", "side")] == [3, 0, 1, "text"]
    undo(run, [FailedLot(node, 0, [failure])])
    assert dict(Journal(journal.path)) == {other.digest: "good"}


@pytest.mark.parametrize(
    ("field", "value", "said_"),
    [
        ("base_url", "ftp://x", "is no http or https address"),
        ("base_url", "https://me:secret@host/v1", "secrets do not belong into a recipe"),
        ("key", "sk-abcdef", "never the key itself"),
        ("revision", "", "at least 1 character"),
    ],
)
def test_a_wrong_endpoint_is_refused(
    recipe: dict[str, Any], write_recipe: Write, field: str, value: str, said_: str
) -> None:
    model = {"kind": "openai", "model": "gpt", "revision": "r", "base_url": "http://127.0.0.1:1/v1", field: value}
    recipe["models"]["far"] = model
    with pytest.raises(UserError, match=f"field models.far.{field}: .*{said_}"):
        load_recipe(write_recipe(recipe))


def test_an_address_and_a_key_are_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = config("http://a/v1", key="ONE_KEY"), config("http://b/v1", concurrency=3)
    assert one.identity() == other.identity() != config("http://a/v1", max_tokens=5).identity()
    monkeypatch.delenv("ONE_KEY", raising=False)
    assert "ONE_KEY is not set" in one.unready() and not other.unready()


def test_the_recipe_with_endpoints_loads_and_lacks_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ROOT / "recipes" / "bagel_self_sampling.yaml"
    recipe = load_recipe(file)
    assert recipe.roles.writer == recipe.roles.painter != recipe.roles.judge
    for name in ("BAGEL_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    done = underpaint("build", file, "--out", tmp_path / "run")
    assert done.returncode == 2 and "is not set; it holds the key for" in done.stderr


def test_a_build_judged_by_an_endpoint_then_retried(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that the server failed go to quarantine; `retry` asks for those and no others. The key is in no file."""
    monkeypatch.setenv("FAKE_KEY", "sk-secret")
    judge, down = Symbolic("underpaint.miniature.world"), {"cup"}

    def answer(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        content = next(m["content"] for m in body["messages"] if m["role"] == "user")
        words = content if isinstance(content, str) else content[-1]["text"]
        context = yaml.safe_load(words.split("<<", 1)[1].split(">>", 1)[0])
        if any(word in context["description"] for word in down):
            return 503, {"error": {"message": "overloaded"}}
        task, picture = (
            ("critique_text", None) if isinstance(content, str) else ("critique_picture", _picture(content[-2]))
        )
        return 200, said(judge.ask([AskRequest(task, "", 1, (picture,) if picture else (), 0.0, context)])[0])

    templates = tmp_path / "templates"
    templates.mkdir()
    for side, names in (("text", "prompt so_far instruction description"), ("picture", "instruction description")):
        words = (ROOT / "stages" / "templates" / f"critique_{side}.md.j2").read_text()
        given = "<<{" + ", ".join(f'"{n}": {{{{ {n} | tojson }}}}' for n in names.split()) + "}>>"
        (templates / f"critique_{side}.md.j2").write_text(words.rstrip() + "\n" + given + "\n")
    with serving(answer) as server:
        far = {"kind": "openai", "base_url": server.url, "model": "fake", "revision": "1", "key": "FAKE_KEY"}
        recipe["models"]["far"] = far | {"retries": 0}
        recipe["roles"]["judge"], recipe["templates"] = "far", [str(templates)]
        recipe.setdefault("stages", {})
        for stage in ("check", "critique"):  # this judge reads the grammar's texts alone
            recipe["stages"][stage] = {**recipe["stages"].get(stage, {}), "canaries": 0}
        file, out = write_recipe(recipe), tmp_path / "run"
        done = underpaint("build", file, "--out", out)
        assert done.returncode == 0, done.stdout + done.stderr
        failed = json.loads(underpaint("status", file, "--out", out, "--json").stdout)
        before = {s["stage"]: s["failed"] for s in failed["stages"]}["critique"]["EndpointError"]
        assert before and not vocabulary().nouns.keys().isdisjoint(down)
        down.clear()
        asked = len(server.seen)
        again = underpaint("retry", file, "--out", out, "--stage", "critique", "--error", "EndpointError")
        assert again.returncode == 0, again.stdout + again.stderr
        found = {s["stage"]: s for s in json.loads(underpaint("status", file, "--out", out, "--json").stdout)["stages"]}
        assert not found["critique"]["failed"] and found["check"]["failed"]  # only what was named
        extra = sum("description" in json.dumps(body) for _, _, body in server.seen[asked:])
        assert before <= extra
    assert underpaint("verify", out / "corpus").returncode == 0
    for path in out.rglob("*"):
        assert not path.is_file() or b"sk-secret" not in path.read_bytes(), path


def _picture(part: dict[str, Any]) -> Image.Image:
    data = base64.b64decode(part["image_url"]["url"].removeprefix("data:image/png;base64,"))
    return Image.open(io.BytesIO(data)).convert("RGB")
