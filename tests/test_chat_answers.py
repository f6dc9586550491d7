"""What a chat endpoint is asked and answers: forms, ends, refusals, probabilities, and bodies that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint, said, serving
from PIL import Image

from underpaint.pipeline.engine.remote_answers import Journal
from underpaint.stages.answers.critique_answer import critique_schema
from underpaint.stages.common.roles import Answer, AskRequest, PaintRequest, Turn, answer_of, each, whole_characters
from underpaint.stages.models import chat_api
from underpaint.stages.models.endpoint import Endpoint, EndpointError
from underpaint.stages.models.kinds import OpenAIConfig

RED, BLUE = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def model(server: FakeEndpoint, **more: Any) -> Endpoint:
    settings = OpenAIConfig(kind="openai", base_url=server.url, model="fake", revision="1", retries=0, **more)
    loaded: Endpoint = settings.load()
    return loaded


def ask(text: str = "q", **more: Any) -> AskRequest:
    return AskRequest("critique_text", text, seed=1, **more)


def test_the_whole_conversation_is_sent_in_order() -> None:
    shots = (Turn("user", "Shown?", (RED,)), Turn("assistant", "Yes."))
    again = (Turn("assistant", "Nein."), Turn("user", "In English."))
    with serving(lambda path, body: (200, said("ok"))) as server:
        request = ask("And now?", pictures=(RED, BLUE), system="Be brief.", turns=shots, follow_up=again)
        assert model(server).ask([request]) == [Answer("ok")]
        messages = server.seen[0][2]["messages"]
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert messages[0]["content"] == "Be brief." and messages[5]["content"] == "In English."
    before, after, words = messages[3]["content"]
    assert words == {"type": "text", "text": "And now?"}
    assert before == messages[1]["content"][0] != after and before["type"] == after["type"] == "image_url"


def test_a_schema_goes_with_its_own_request_only() -> None:
    with serving(lambda path, body: (200, said("{}"))) as server:
        model(server, concurrency=1).ask([ask("a", schema=SCHEMA), ask("b")])
        model(server, structured="json_object").ask([ask("c", schema=SCHEMA)])
        model(server, structured="none").ask([ask("d", schema=SCHEMA)])
        sent = [body.get("response_format") for _, _, body in server.seen]
    held = {"name": "critique_text", "strict": True, "schema": SCHEMA}
    assert sent == [{"type": "json_schema", "json_schema": held}, None, {"type": "json_object"}, None]


def test_a_server_that_refuses_a_schema_is_asked_by_words_alone(tmp_path: Path, caplog: Any) -> None:
    """It is told once a schema; what was asked for stands with every answer, and in the log."""

    def answer(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if "response_format" in body:
            return 400, {"error": {"message": "response_format is not supported"}}
        return 200, said("free")

    with serving(answer) as server:
        asked, journal = model(server, concurrency=1), Journal(tmp_path / "answers.jsonl")
        asked.remember(journal)
        requests = [ask(text, schema=SCHEMA) for text in "abc"]
        assert asked.ask(requests) == [Answer("free")] * 3
        kinds = [body.get("response_format", {}).get("json_schema", {}).get("strict") for _, _, body in server.seen]
        assert kinds == [True, False, None, None, None]
        assert [record["form"] for record in Journal(journal.path).values()] == ["none"] * 3
        fresh = model(server)
        fresh.remember(Journal(journal.path))
        assert fresh.ask(requests) == [Answer("free")] * 3 and len(server.seen) == 5  # from the journal
    assert "fake refuses json_schema, strict for critique_text" in caplog.text


def test_a_schema_that_may_not_be_strict_is_still_asked_for() -> None:
    """OpenAI refuses e.g. `minLength` where a schema is strict, and takes it where it is not."""

    def answer(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["response_format"]["json_schema"]["strict"]:
            return 400, {"error": {"message": "Invalid schema for response_format 'x': 'minLength' is not permitted"}}
        return 200, said("loose")

    with serving(answer) as server:
        assert model(server).ask([ask(schema=critique_schema())]) == [Answer("loose")]


def test_another_refusal_is_not_taken_for_one_of_the_schema() -> None:
    with serving(lambda path, body: (400, {"error": {"message": "the context is too long"}})) as server:
        with pytest.raises(EndpointError, match="too long"):
            model(server).ask([ask(schema=SCHEMA)])
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (said('{"a": "x', "length"), Answer('{"a": "x', cut=True)),
        (said(None, "length"), Answer("", cut=True)),  # all was spent on thinking
        (said(None), Answer("")),
        (said(None, refusal="I can't help with that."), Answer("", refused="I can't help with that.")),
        (said("", "content_filter"), Answer("", refused="the server's content filter")),
        (said("a\ud83d b \ud83d\ude00"), Answer("a\ufffd b \N{GRINNING FACE}")),
    ],
)
def test_how_an_answer_ended_is_known_and_kept(body: dict[str, Any], answer: Answer, tmp_path: Path) -> None:
    with serving(lambda path, _: (200, body)) as server:
        for _ in range(2):  # the second time from the journal
            asked = model(server)
            asked.remember(Journal(tmp_path / "answers.jsonl"))
            assert asked.ask([ask()]) == [answer]
        assert len(server.seen) == 1


def test_probabilities_are_asked_for_where_the_recipe_says_so(tmp_path: Path) -> None:
    chances = [("yes", -0.25), (".", -1.5)]
    with serving(lambda path, body: (200, said("yes.", logprobs=chances if "logprobs" in body else None))) as server:
        journal = Journal(tmp_path / "answers.jsonl")
        for memory in (journal, Journal(journal.path)):
            asked = model(server, logprobs=True)
            asked.remember(memory)
            assert asked.ask([ask()]) == [Answer("yes.", logprobs=tuple(chances))]
        assert model(server).ask([ask()]) == [Answer("yes.")]
    (record,) = Journal(journal.path).values()
    assert isinstance(record, dict) and record["tokens"] == [11, 3]


@pytest.mark.parametrize(
    "body",
    [b"<html>502</html>", b'{"choices": [', {"choices": []}, {"error": "busy"}, {"choices": ["x"]}, b"[" * 99999],
)
def test_a_body_that_is_no_completion_costs_its_row(body: dict[str, Any] | bytes) -> None:
    def answer(path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any] | bytes]:
        return 200, body if "prompt" in sent or sent["messages"][0]["content"] == "bad" else said("fine")

    with serving(answer) as server:
        asked = model(server)
        good, bad = each(asked.ask, [ask("good"), ask("bad")])
        assert good == Answer("fine") and isinstance(bad, EndpointError) and "no Completion" in str(bad)
        assert len(server.seen) == 2  # neither is asked again
        (painted,) = each(asked.paint, [PaintRequest(None, "Paint.", "", 1)])
        assert isinstance(painted, EndpointError)


def test_words_of_a_former_journal_are_read(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps([ask().digest, "as before"]) + "\n")
    with serving(lambda path, body: (200, said("new"))) as server:
        asked = model(server)
        asked.remember(Journal(file))
        assert asked.ask([ask()]) == [Answer("as before")] and not server.seen


def test_a_picture_asked_about_several_times_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[Image.Image] = []
    plain = chat_api.png
    monkeypatch.setattr(chat_api, "png", lambda picture: encoded.append(picture) or plain(picture))
    one, other = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "red")
    with serving(lambda path, body: (200, said("x"))) as server:
        requests = [
            AskRequest("critique_picture", "q", seed, (picture,)) for picture in (one, other) for seed in range(5)
        ]
        model(server).ask(requests)
    assert list(map(id, encoded)) == [id(one), id(other)]


def test_half_a_character_reaches_no_table_and_no_server() -> None:
    assert whole_characters("a\udc00\ud83d\ude00\ud83d") == "a\ufffd\N{GRINNING FACE}\ufffd"
    assert answer_of("x\ud83d").text.encode() == "x\ufffd".encode()
    with serving(lambda path, body: (200, said("fine"))) as server:
        good, bad = each(model(server).ask, [ask("good"), ask("half \ud83d")])
    assert good == Answer("fine") and isinstance(bad, EndpointError) and "surrogate" in str(bad)
