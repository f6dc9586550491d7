"""Reading a judge's answer: forgiving about form, strict about meaning."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from answer_forms import FORMS
from hypothesis import given, settings
from hypothesis import strategies as st

from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.critique import Critique, Finding, Verdict
from underpaint.stages.answers.answer import AnswerError, CritiqueError, words_of
from underpaint.stages.answers.critique import critique_schema, parse_critique, read_critique, without_lengths
from underpaint.stages.answers.kinds import read_sentence
from underpaint.stages.answers.label import read_label
from underpaint.stages.answers.plan import read_plan
from underpaint.stages.answers.scene import read_scene
from underpaint.stages.answers.text import read_text
from underpaint.stages.answers.verdicts import read_verdict

RIGHT: dict[str, Any] = {
    "observed": ["a red car"], "findings": [], "verdict": "consistent", "analysis": "It is red.", "correction": "",
}  # fmt: skip
WRONG: dict[str, Any] = {
    "observed": ["a blue car"], "findings": [{"kind": "wrong_attribute", "detail": "the car is blue, not red"}],
    "verdict": "conflict", "analysis": "It is blue.", "correction": "Make it red.",
}  # fmt: skip
LABELS = {"Correct": Verdict.CONSISTENT, "Incorrect": Verdict.CONFLICT}

letters = st.characters(codec="utf-8", exclude_categories=("Cc",), exclude_characters="\ufffd")  # what files can hold
plain = st.text(letters, min_size=1, max_size=40).filter(str.strip)
clean = plain.filter(lambda t: "<" not in t)  # no tag or control token
findings = st.builds(Finding, kind=st.sampled_from(list(FaultKind)), detail=clean)
agreeing = st.builds(
    Critique, observed=st.lists(plain, max_size=6).map(tuple), findings=st.just(()), analysis=clean,
    verdict=st.sampled_from([Verdict.CONSISTENT, Verdict.INCOMPLETE]), correction=st.just(""),
)  # fmt: skip
conflicting = st.builds(
    Critique, observed=st.lists(plain, max_size=6).map(tuple), verdict=st.just(Verdict.CONFLICT), analysis=clean,
    findings=st.lists(findings, min_size=1, max_size=3).map(tuple),
    correction=clean.filter(lambda t: any(c.isalpha() for c in t) and t.strip().lower() not in ("no", "none", "nil")),
)  # fmt: skip
critiques = agreeing | conflicting

# Pieces of answers, good and bad, that are put together at random.
PIECES = [
    json.dumps(RIGHT), json.dumps(WRONG), '{"verdict": ', '"conflict"', "'", '"', "{", "}", "[", "]", ",", ":", "\n",
    "\\", "<think>", "</think>", "```json\n", "```", "<ins>", "</ins>", "<des>", "</des>", "done", "Correct",
    '"objects": [', '{"noun": "car"}', "“", "”", "//", "/*", "#", "null", "None", "-1e999", "NaN", "\ud83d", "\x00",
    "Incorrect.",
    "I'm sorry", "Sure", ":", "- a", "Option 1", "a red car", ".", '"findings": [', '"count": ', "<|im_end|>",
    "<|channel|>",
]  # fmt: skip
soup = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=24).map("".join)


@settings(max_examples=500)
@given(st.text() | soup)
def test_reading_raises_nothing_but_answer_errors(text: str) -> None:
    readers = (
        lambda: read_critique(text, ("odd",), {"score": {"type": "integer"}}, Verdict.CONFLICT),
        lambda: read_label(text, LABELS, "departs"),
        lambda: read_text(text), lambda: read_plan(text), lambda: read_scene(text),
    )  # fmt: skip
    for read in readers:
        try:
            json.dumps(str(read().value), ensure_ascii=False).encode()  # whatever is read can be stored
        except AnswerError as e:
            assert str(e) and e.reason


@given(critiques)
def test_the_right_form_is_read_as_it_is(critique: Critique) -> None:
    read = read_critique(critique.to_json())
    assert (read.value, read.bends) == (critique, ())


AROUND = [f for f in FORMS if f.readable and f.name in (
    "fence", "fence without a language", "prose before a fence", "prose after a fence", "thinking",
)]  # fmt: skip
INSIDE = [f for f in FORMS if f.readable and f not in AROUND]


@given(critiques, st.sampled_from(INSIDE), st.sampled_from(INSIDE), st.sampled_from(AROUND))
def test_no_bend_flips_a_verdict(critique: Critique, first: Any, second: Any, around: Any) -> None:
    """Two forms one upon the other, within a third: the verdict's side is kept, or nothing is read."""
    said = critique.model_dump(mode="json")
    try:
        once = json.loads(first.make(said))
        said = once if isinstance(once, dict) and "verdict" in once else said
        text = around.make({}).replace("{}", second.make(said))
    except (ValueError, TypeError, AttributeError):
        return  # the second form cannot be put upon the first
    try:
        read = read_critique(text, yes=Verdict.CONSISTENT)
    except CritiqueError:
        return
    assert (read.value.verdict is Verdict.CONFLICT) == (critique.verdict is Verdict.CONFLICT)


def changed(of: dict[str, Any], **fields: Any) -> str:
    return json.dumps({**of, **fields})


REFUSED = [
    ("two that differ", json.dumps(RIGHT) + json.dumps(WRONG), "contradicts itself"),
    ("a draft, then another", f"First: {json.dumps(WRONG)} Better: {json.dumps(RIGHT)}", "contradicts itself"),
    ("taken back", json.dumps(RIGHT) + "\nWait, the car is blue.", "contradicts itself"),
    ("another verdict stated", "My verdict: conflict.\n" + json.dumps(RIGHT), "contradicts itself"),
    ("prose denies it", "The step contradicts the prompt.\n" + json.dumps(RIGHT), "contradicts itself"),
    ("a key twice", json.dumps(RIGHT)[:-1] + ', "verdict": "conflict"}', "contradicts itself"),
    ("a key twice, single quotes", repr(RIGHT)[:-1] + ", 'verdict': 'conflict'}", "no JSON"),
    ("two names of a field", changed(RIGHT, Judgement="conflict"), "contradicts itself"),
    ("another verdict inside", changed(RIGHT, second={"verdict": "conflict"}), "contradicts itself"),
    ("a field of the other side", changed(RIGHT, is_consistent=False), "contradicts itself"),
    ("agreement with a fault", changed(RIGHT, findings=WRONG["findings"]), "contradicts itself"),
    ("agreement with a fault in words", changed(RIGHT, findings="The car is blue, not red."), "contradicts itself"),
    ("agreement with a correction", changed(RIGHT, correction="Make it red."), "contradicts itself"),
    ("incomplete with a fault", changed(WRONG, verdict="incomplete"), "contradicts itself"),
    ("no fault named", changed(WRONG, findings=[]), "no finding"),
    ("no correction", changed(WRONG, correction="N/A"), "no correction"),
    ("a finding of other fields", changed(RIGHT, findings=[{"a": "the car is blue", "b": 1}]), "field missing"),
    ("a finding that praises", changed(WRONG, findings=["the car is red as asked"]), "unknown kind"),
    ("a finding that denies", changed(WRONG, findings=["nothing is missing"]), "unknown kind"),
    ("hedged", changed(RIGHT, verdict="mostly consistent"), "hedged verdict"),
    ("partially", changed(RIGHT, verdict="Partially"), "hedged verdict"),
    ("with a but", changed(RIGHT, verdict="consistent, but the car is blue"), "hedged verdict"),
    ("both verdicts", changed(RIGHT, verdict="consistent: no, conflict"), "unknown verdict"),
    ("the form repeated", changed(RIGHT, verdict="consistent|incomplete|conflict"), "unknown verdict"),
    ("yes to no question", changed(RIGHT, verdict="yes"), "ambiguous verdict"),
    ("no verdict", changed(RIGHT, verdict=None), "field missing"),
    ("nothing observed", json.dumps({k: v for k, v in RIGHT.items() if k != "observed"}), "field missing"),
    ("no findings field", json.dumps({k: v for k, v in RIGHT.items() if k != "findings"}), "field missing"),
    ("no analysis", changed(RIGHT, analysis=""), "field missing"),
    ("sees no picture", changed(RIGHT, analysis="I cannot see the image, but it should be fine."), "refusal"),
    ("refuses in JSON", '{"error": "I\'m sorry, I can\'t assist with that."}', "refusal"),
    ("refuses", "As an AI, I cannot judge this.", "refusal"),
    ("ends in its thinking", "<think>Let me see. " + json.dumps(RIGHT), "cut at the limit"),
    ("cut, and nobody says so", json.dumps(WRONG)[:-1], "cut at the limit"),
    ("cut in a text", json.dumps(WRONG)[:-9], "cut at the limit"),
    ("a control token", changed(WRONG, correction="Stop.<|im_end|>"), "tag or control token"),
    ("half a character", '{"observed": ["\\ud83d"]' + json.dumps(RIGHT)[len('{"observed": ["a red car"]') :],
     "half a character"),
    ("deep", "[" * 10_000 + "]" * 10_000, "nested too deeply"),
    ("deep objects", '{"a":' * 5_000 + "1" + "}" * 5_000, "nested too deeply"),
    ("endless", "x" * 40_000, "too long"),
    ("no JSON", "The step looks fine.", "no JSON"),
    ("blank", " \n", "blank"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_could_mean_something_else_is_refused(text: str, reason: str) -> None:
    with pytest.raises(CritiqueError) as refused:
        read_critique(text)
    assert refused.value.reason == reason


READ = [
    ("said twice", json.dumps(RIGHT) + "\n" + json.dumps(RIGHT), RIGHT, ("said twice",)),
    ("stop token", json.dumps(RIGHT) + "<|im_end|>", RIGHT, ("stop token",)),
    ("thinking opened by the question", "hm, conflict?\n</think>\n" + json.dumps(RIGHT), RIGHT, ("thinking",)),
    ("channels", '<|channel|>analysis<|message|>{"verdict": "conflict"}<|end|><|start|>assistant<|channel|>final'
     "<|message|>" + json.dumps(RIGHT), RIGHT, ("thinking",)),
    ("brackets in the prose", f"See [1] and {{that}}. {json.dumps(RIGHT)}", RIGHT, ("prose",)),
    ("prose that asks", f"Let me check whether it contradicts the prompt. {json.dumps(RIGHT)}", RIGHT, ("prose",)),
    ("comments", json.dumps(RIGHT)[:-1] + " // no conflict\n}", RIGHT, ("repaired JSON",)),
    ("smart quotes", json.dumps(RIGHT).replace('"', "”"), RIGHT, ("repaired JSON",)),
    ("JSON within a text", json.dumps(json.dumps(WRONG)), WRONG, ("wrapped",)),
    ("names in capitals", json.dumps({k.title(): v for k, v in WRONG.items()}), WRONG, ("name of a field",)),
    ("one for a list", changed(WRONG, findings=WRONG["findings"][0]), WRONG, ("one in place of a list",)),
    ("no finding, said", changed(RIGHT, findings="No issues found."), RIGHT, ("null findings",)),
    ("no finding, in a list", changed(RIGHT, findings=[{"kind": "none", "detail": ""}]), RIGHT, ("null findings",)),
    ("kind before the words", changed(WRONG, findings=["**Wrong color**: the car is blue, not red"]), WRONG,
     ("finding as a sentence",)),
    ("verdict with its reason", changed(RIGHT, verdict="Consistent - the car is red."), RIGHT,
     ("verdict with its reason",)),
    ("verdict of a list", changed(WRONG, verdict=["conflict"]), WRONG, ("verdict in a list",)),
    ("no correction", json.dumps({k: v for k, v in RIGHT.items() if k != "correction"}), RIGHT, ("null correction",)),
    ("correction as a list", changed(WRONG, correction=["Make it red."]), WRONG, ("one in place of a text",)),
    ("items as objects", changed(WRONG, observed=[{"colour": "a blue car"}]), WRONG, ("item that is no text",)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "right", "bends"), [r[1:] for r in READ], ids=[r[0] for r in READ])
def test_what_is_bent_is_named(text: str, right: dict[str, Any], bends: tuple[str, ...]) -> None:
    read = read_critique(text)
    assert (read.value.model_dump(mode="json"), read.bends) == (right, bends)


def test_apostrophes_within_single_quotes() -> None:
    said = {**WRONG, "analysis": "It's blue.", "correction": "Paint the dog's car red."}
    text = json.dumps(said).replace('"', "'")
    assert read_critique(text).value.model_dump(mode="json") == said


def test_an_analysis_that_is_missing_is_made_of_the_findings() -> None:
    read = read_critique(changed(WRONG, analysis=None))
    assert read.value.analysis == "the car is blue, not red" and read.bends == ("analysis from the findings",)


@pytest.mark.parametrize(
    ("said", "yes", "means"),
    [
        ("Yes", Verdict.CONSISTENT, Verdict.CONSISTENT), (False, Verdict.CONSISTENT, Verdict.CONFLICT),
        ("yes", Verdict.CONFLICT, Verdict.CONFLICT), ("No.", Verdict.CONFLICT, Verdict.CONSISTENT),
        ("doesn’t match", None, Verdict.CONFLICT), ("No contradiction", None, Verdict.CONSISTENT),
        ("**Incomplete**", None, Verdict.INCOMPLETE), ("not yet complete", None, Verdict.INCOMPLETE),
    ],
)  # fmt: skip
def test_words_for_a_verdict(said: object, yes: Verdict | None, means: Verdict) -> None:
    assert read_verdict(said, yes)[0] is means


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("a blue cup is missing", "missing_object"), ("There is no dog in the picture.", "missing_object"),
        ("the cup isn't there", "missing_object"), ("the picture does not show a tree", "missing_object"),
        ("the colour of the car is missing", "missing_detail"), ("the car is blue, not red", "wrong_attribute"),
        ("The car should be red", "wrong_attribute"), ("it is small instead of large", "wrong_attribute"),
        ("the car has the wrong color", "wrong_attribute"), ("it is on the left, not at the top", "wrong_attribute"),
        ("there are two cats instead of three", "wrong_count"), ("too many fish", "wrong_count"),
        ("the car is not above the cup", "wrong_relation"), ("the background is sand, not white", "wrong_background"),
        ("a fish is not asked for", "unwanted_object"), ("there is an extra cup", "unwanted_object"),
        ("missing object - the cup", "missing_object"), ("wrong_count: two fish", "wrong_count"),
        ("The perspective is wrong", ""), ("the car is red", ""), ("no object is missing", ""), ("it looks odd", ""),
        ("the extra cup is missing", ""), ("a cup, not a red car", ""), ("there are no errors", ""),
    ],
)  # fmt: skip
def test_the_kind_of_a_sentence(sentence: str, kind: str) -> None:
    if kind:
        assert read_sentence(sentence, ())[0] == kind
    else:
        with pytest.raises(CritiqueError, match=r"unknown kind .*; there are wrong_attribute, "):
            read_sentence(sentence, ())


def test_a_template_adds_kinds_and_fields() -> None:
    fields = {"score": {"type": "integer", "minimum": 0, "maximum": 10}, "light": {"type": "string"}}
    odd = [{"kind": "Perspective, wrong", "detail": "the car looks flat"}]
    said = {**WRONG, "findings": odd, "Score": 3, "light": "dim"}
    read = read_critique(json.dumps(said), ("wrong_perspective",), fields)
    assert read.value.findings[0].kind == "wrong_perspective"
    assert read.value.extra == {"score": 3, "light": "dim"}
    assert json.loads(read.value.to_json())["extra"] == {"score": 3, "light": "dim"}
    assert Critique.model_validate_json(read.value.to_json()) == read.value
    for bad, why in (
        ({"score": 11}, "score: 11 is greater"),
        ({"score": None}, "score: None is not"),
        ({}, "score: this"),
    ):
        with pytest.raises(CritiqueError, match=why):
            read_critique(json.dumps({**RIGHT, "light": "dim", **bad}), (), fields)


def test_a_critique_without_extra_fields_is_written_as_ever() -> None:
    said = json.dumps(WRONG, separators=(",", ":"))
    assert parse_critique(said).to_json() == said


@given(critiques)
def test_the_schema_has_every_critique_and_asks_for_all(critique: Critique) -> None:
    schema = critique_schema()
    said = critique.model_dump(mode="json")
    jsonschema.validate(said, schema)
    for field in said:
        with pytest.raises(jsonschema.ValidationError, match="required"):
            jsonschema.validate({k: v for k, v in said.items() if k != field}, schema)
    with pytest.raises(jsonschema.ValidationError, match="unexpected"):
        jsonschema.validate({**said, "mood": 1}, schema)


def test_the_schema_is_bounded_and_strict() -> None:
    """Every list and text has an end, every object is closed; without lengths it is what OpenAI's strict mode knows."""
    schema = critique_schema(("odd",), {"light": {"type": "string", "enum": ["dim", "bright"]}})
    assert list(schema["properties"]) == ["observed", "findings", "verdict", "analysis", "correction", "light"]
    assert schema["properties"]["findings"]["items"]["properties"]["kind"]["enum"][-1] == "odd"

    def parts(of: dict[str, Any]) -> list[dict[str, Any]]:
        inner = [*of.get("properties", {}).values(), *filter(None, [of.get("items")])]
        return [of, *(p for i in inner for p in parts(i))]

    for part in parts(schema):
        assert part["type"] != "array" or part["maxItems"] > 0
        assert part["type"] != "string" or "enum" in part or part["maxLength"] > 0
        assert part["type"] != "object" or (
            part["required"] == [*part["properties"]] and not part["additionalProperties"]
        )
    assert "maxLength" not in json.dumps(without_lengths(schema)) and "maxItems" in json.dumps(without_lengths(schema))


def test_a_server_may_refuse_or_cut() -> None:
    class Said:
        text, cut, refused = json.dumps(RIGHT), False, ""

    said = Said()
    assert words_of(said) == (said.text, set())
    said.cut = True
    with pytest.raises(AnswerError, match="cut at the token limit"):
        words_of(said)
    said.refused = "content policy"
    with pytest.raises(AnswerError, match="the server refused: 'content policy'"):
        words_of(said)


def test_texts_of_several_lines_come_to_stand_on_one() -> None:
    said = {**WRONG, "analysis": "It is blue.\n\n  It should be red.", "correction": "Make it\nred."}
    read = read_critique(json.dumps(said))
    assert read.value.analysis == "It is blue. It should be red." and read.value.correction == "Make it red."
    assert read.bends == ("line break",)
