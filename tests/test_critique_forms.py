"""Other forms of a critique: a chain of yes/no questions, prose with a label; and the score where tokens have odds."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from stage_inputs import Judge, run_stage, shade

from underpaint.pipeline.workbench.examples import run_examples
from underpaint.pipeline.workbench.lint import lint_file
from underpaint.schemas.scenes.critique import Critique, Verdict
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import check
from underpaint.stages.all_stages import STAGES
from underpaint.stages.answers.answer import CritiqueError
from underpaint.stages.answers.critique import read_critique
from underpaint.stages.answers.questions import questions_schema, read_questions
from underpaint.stages.calibration import _own_verdict
from underpaint.stages.common.asking import Said
from underpaint.stages.common.critique_formats import read_as_critique
from underpaint.stages.common.ledger import Ledger, Unit
from underpaint.stages.common.roles import Answer, AskRequest
from underpaint.stages.common.stage import Context, Lot
from underpaint.stages.common.templating import BUILT_IN, load_template
from underpaint.stages.judgement.grading import grade
from underpaint.stages.judgement.panel import Judged, JudgeParams, Question, Side, judge
from underpaint.stages.judgement.yes_no import questions_about

PROSE = ROOT / "examples" / "judge_in_prose" / "templates" / "critique_picture.md.j2"
VERDICTS = ROOT.parent / "shared" / "data" / "gpt4v_verdicts" / "verdicts.jsonl"


def asked(*answers: tuple[str, str, str], correction: Any = "") -> str:
    """An answer whose questions have these (kind, detail, answer)."""
    questions = [{"question": f"{k}?", "kind": k, "detail": d, "answer": a} for k, d, a in answers]
    return json.dumps({"questions": questions, "correction": correction})


def test_every_no_is_a_finding_of_its_kind() -> None:
    text = asked(
        ("missing_object", "there is a car", "yes"), ("wrong_attribute", "the car is blue", "no"),
        ("wrong_count", "", "no"), correction="Paint a red car.",
    )  # fmt: skip
    read = read_questions(text)
    assert read.bends == ()
    assert json.loads(read.value.to_json()) == {
        "observed": ["there is a car"],
        "findings": [
            {"kind": "wrong_attribute", "detail": "the car is blue"},
            {"kind": "wrong_count", "detail": "not so: wrong_count?"},
        ],
        "verdict": "conflict",
        "analysis": "The car is blue; not so: wrong_count?",
        "correction": "Paint a red car.",
    }


def test_all_yes_is_consistent_in_whatever_form() -> None:
    said = asked(("Missing Object", "there is a car", "Yes."), ("wrong_count", "there are two cups", "yes"))
    read = read_questions(f"```json\n{said}\n```".replace('"correction": ""', '"correction": null'))
    assert read.value.verdict is Verdict.CONSISTENT and read.value.findings == ()
    assert read.value.analysis == "All is as it should be: there is a car; there are two cups."
    assert read.bends == ("fence", "null correction", "spelling of a kind", "spelling of yes or no")


@pytest.mark.parametrize(
    ("text", "least", "reason"),
    [
        (asked(("wrong_count", "two", "partly")), 1, "neither yes nor no"),
        (asked(("wrong_count", "two", "")), 1, "field missing"),
        (asked(("ugly", "two", "no"), correction="Add one."), 1, "unknown kind"),
        (asked(("wrong_count", "two", "no")), 1, "no correction"),
        (asked(("wrong_count", "two", "yes"), correction="Add one."), 1, "contradicts itself"),
        (asked(("wrong_count", "two", "yes")), 2, "questions left out"),
        (asked(), 1, "questions left out"),
        ('{"questions": "none", "correction": ""}', 1, "field of another type"),
        ("I cannot see the picture.", 1, "refusal"),
    ],
)
def test_what_could_flip_the_verdict_is_refused(text: str, least: int, reason: str) -> None:
    with pytest.raises(CritiqueError) as refused:
        read_questions(text, least=least)
    assert refused.value.reason == reason


def test_the_schema_asks_for_what_is_read() -> None:
    import jsonschema

    schema = questions_schema(("wrong_light",), least=2)
    jsonschema.Draft202012Validator.check_schema(schema)
    two = json.loads(asked(("wrong_light", "dark", "yes"), ("wrong_count", "two", "yes")))
    jsonschema.validate(two, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**two, "questions": two["questions"][:1]}, schema)


def test_the_grammar_asks_about_each_thing_by_itself(vocabulary: Vocabulary) -> None:
    car = SceneObject(id="o0", noun="car", attributes={"colour": "red", "place": "at the top"})
    cups = SceneObject(id="o1", noun="cup", count=2)
    star, other = (SceneObject(id=f"o{n}", noun="star", attributes={"colour": c}) for n, c in ((2, "red"), (3, "blue")))
    above = Relation(subject="o0", predicate="above", object="o1")
    scene = SceneGraph(objects=(car, cups, star, other), relations=(above,), background="sand")
    assert questions_about(describe(scene, vocabulary), vocabulary).splitlines() == [
        "missing_object: Is there a car?",
        "wrong_attribute: Is the car red?",
        "wrong_attribute: Is the car at the top?",
        "missing_object: Is there a cup?",
        "wrong_count: Are there exactly two cups, no more and no fewer?",
        "missing_object: Is there a red star?",
        "missing_object: Is there a blue star?",
        "wrong_relation: Is the red car above the cups?",
        "wrong_background: Is the background sand?",
        "unwanted_object: Does the picture show only the objects that the description names?",
    ]
    assert questions_about("A cosy evening by the lake.", vocabulary) == ""


def ask_questions(vocabulary: Vocabulary, answer: str, description: str) -> tuple[Any, list[AskRequest]]:
    template = load_template(BUILT_IN / "critique_picture_questions.md.j2").model_copy(update={"weight": 1.0})
    judge_, settings = Judge(lambda _: answer), JudgeParams(answers=1, observations="conclude", second_check="none")
    context = Context(
        "check", 7, Lot(0, 8), settings, vocabulary, {"judge": judge_}, {"critique_picture": [template]}
    )  # fmt: skip
    variables = {"prompt": "p", "instruction": "Paint a red car.", "description": description}
    (found,) = judge(context, [Question(Unit(1, step=1), Side.PICTURE, variables)], settings, Ledger())[1]
    return found, [r for batch in judge_.batches for r in batch]


def test_questions_of_the_grammar_must_all_be_answered(vocabulary: Vocabulary) -> None:
    three = [("missing_object", "a car", "yes"), ("wrong_attribute", "blue", "no"), ("unwanted_object", "", "yes")]
    found, requests = ask_questions(vocabulary, asked(*three, correction="Make the car red."), "A red car.")
    assert isinstance(found, Judged) and found.conflict and found.decided_by == "judge"
    assert "missing_object: Is there a car?\nwrong_attribute: Is the car red?" in requests[0].text
    assert requests[0].schema is not None and requests[0].schema["properties"]["questions"]["minItems"] == 3
    fewer, requests = ask_questions(vocabulary, asked(three[0]), "A red car.")
    assert "questions: 1 are answered, 3 were asked" in fewer.message and len(requests) == 2
    own, requests = ask_questions(vocabulary, asked(three[0]), "A cosy evening by the lake.")
    assert isinstance(own, Judged) and "Ask about each thing" in requests[0].text


def test_questions_are_switched_off_until_a_recipe_wants_them(vocabulary: Vocabulary) -> None:
    judge_ = Judge(lambda _: '{"observed":[],"findings":[],"verdict":"consistent","analysis":"a","correction":""}')
    given = {
        "prompts": [{"sample": 0, "prompt": "p"}],
        "plan": [{"sample": 0, "step": n, "instruction": "i", "description": "d"} for n in range(1, 9)],
        "draft": [{"sample": 0, "step": n, "picture": shade(n)} for n in range(1, 9)],
    }
    made = run_stage(check.STAGE, vocabulary, given, {"judge": judge_})
    assert set(made.table["template"].to_pylist()) == {"critique_picture"} and made.table.num_rows == 8


def said(text: str, tokens: list[tuple[str, float]], critique: Critique | None) -> Said[Critique]:
    answer = Answer(text, logprobs=tuple((token, math.log(p)) for token, p in tokens))
    return Said(AskRequest("critique_picture", "", 0), value=critique, answers=[answer])


def test_the_verdict_is_graded_by_the_odds_of_its_own_tokens() -> None:
    against = '{"observed":[],"findings":[{"kind":"wrong_count","detail":"the verdict"}],"verdict": "conflict",'
    text = against + '"analysis":"a","correction":"b"}'
    tokens = [(against[:-11], 0.5), ('"con', 0.8), ("flict", 0.5), ('",', 0.1), (text[len(against) :], 0.2)]
    assert "".join(t for t, _ in tokens) == text
    one = said(text, tokens, read_critique(text).value)
    assert grade([one], "critique/1") == pytest.approx(1 - 0.8 * 0.5)
    calm = '{"observed":[],"findings":[],"verdict":"incomplete","analysis":"a","correction":""}'
    at = calm.index("incomplete")
    two = said(
        calm, [(calm[:at], 0.3), ("in", 0.9), ("complete", 1.0), (calm[at + 10 :], 0.4)], read_critique(calm).value
    )
    assert grade([two], "critique/1") == pytest.approx(0.9)
    assert grade([one, two], "critique/1") == pytest.approx((0.6 + 0.9) / 2)
    unread, silent = said(text, tokens, None), said(text, [], read_critique(text).value)
    assert grade([one, unread, silent], "critique/1") == pytest.approx(0.6)
    assert grade([unread, silent], "critique/1") is None


def test_a_chain_is_graded_by_the_mean_over_its_questions() -> None:
    text = asked(("wrong_count", "a", "yes"), ("wrong_count", "b", "no"), correction="c")
    yes, no = text.index('"yes"') + 1, text.index('"no"') + 1
    tokens = [(text[:yes], 0.9), ("yes", 0.7), (text[yes + 3 : no], 0.9), ("no", 0.6), (text[no + 2 :], 0.9)]
    one = said(text, tokens, read_questions(text).value)
    assert grade([one], "questions/1") == pytest.approx((0.7 + (1 - 0.6)) / 2)


def test_a_label_is_graded_by_the_last_word() -> None:
    text = "The car is blue, not red.\n\nIncorrect."
    one = said(text, [(text[:27], 0.9), ("Inc", 0.5), ("orrect", 0.5), (".", 0.1)],
               read_as_critique(load_template(PROSE), text).value)  # fmt: skip
    assert grade([one], "label/1") == pytest.approx(0.75)


def test_calibration_reads_a_judges_own_verdict_in_its_templates_form() -> None:
    chain = load_template(BUILT_IN / "critique_picture_questions.md.j2")
    said = asked(("missing_object", "there is a car", "no"), correction="Paint a car.")
    assert _own_verdict(chain, said) == "conflict" and _own_verdict(chain, "let us see") == ""
    assert _own_verdict(load_template(PROSE), "There is a car, as asked.\nCorrect") == "consistent"


def test_the_template_for_prose_is_sound() -> None:
    assert lint_file(PROSE, {name: stage.tasks for name, stage in STAGES.items()}) == []
    tested = list(run_examples(load_template(PROSE)))
    assert tested and not [t for t in tested if t.wrong]


@pytest.mark.skipif(not VERDICTS.is_file(), reason="the verdicts of GPT-4V lie beside the project, not in it")
def test_real_verdicts_in_prose_are_read_as_their_authors_read_them() -> None:
    template, right, read = load_template(PROSE), 0, 0
    lines = [json.loads(line) for line in VERDICTS.read_text("utf-8").splitlines()]
    for line in lines:
        try:
            found = read_as_critique(template, Answer(line["response"])).value
        except CritiqueError:
            continue
        read += 1
        right += (found.verdict is Verdict.CONSISTENT) == line["correct"]
    print(f"{len(lines)} verdicts, {read} read, {right} as their authors read them")
    assert len(lines) == 1208 and right >= 0.99 * len(lines)


def test_no_template_lints_without_labels_of_both_sides(tmp_path: Path) -> None:
    file = tmp_path / "prose.md.j2"
    file.write_text(PROSE.read_text().replace("labels: {Correct: consistent, Incorrect: conflict}\n", ""))
    stages = {name: stage.tasks for name, stage in STAGES.items()}
    assert any("label/1 wants labels of both sides" in str(p) for p in lint_file(file, stages))
