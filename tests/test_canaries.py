"""Canaries and figures: which questions are made, what changed words say, and what is counted, by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image
from stage_inputs import Judge, critique

from underpaint.pipeline.selection.decisions import Decision
from underpaint.pipeline.selection.judge_figures import alpha, figure_lines, people_figures, template_figures
from underpaint.schemas.interval import Share
from underpaint.schemas.scenes.critique import Side
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.answers.answer import AnswerError, ContentError
from underpaint.stages.common.figures import AnswerCounts, total
from underpaint.stages.common.ledger import Ledger, Unit
from underpaint.stages.common.roles import Answer, AskRequest, Models
from underpaint.stages.common.stage import Context, Lot
from underpaint.stages.common.templating import BUILT_IN, load_templates
from underpaint.stages.judgement.canaries import Canary, _changes, _replaced, judge_watched, make_canaries
from underpaint.stages.judgement.panel import JudgeParams, Question

GREY = Image.new("RGB", (16, 16), (90, 90, 90))


def context(vocabulary: Vocabulary, judge: Any) -> Context[Any]:
    templates = load_templates([BUILT_IN])
    return Context("check", 7, Lot(0, 8), JudgeParams(), vocabulary, Models(judge=judge), templates)


def shown(sample: int, noun: str, side: Side = Side.PICTURE) -> Question:
    words = {
        "prompt": f"a red {noun} in the rain",
        "instruction": f"Add a red {noun}.",
        "description": f"A red {noun}.",
    }
    if side is Side.TEXT:
        words["so_far"] = "a blank canvas"
    return Question(Unit(sample, step=1), side, words, GREY if side is Side.PICTURE else None)


def good(request: AskRequest) -> str:
    return critique()


def made(vocabulary: Vocabulary, questions: list[Question], share: float = 1.0) -> list[Canary]:
    return make_canaries(context(vocabulary, Judge(good)), questions, share)


def test_each_question_draws_for_itself(vocabulary: Vocabulary) -> None:
    """What one more question gets leaves the others' canaries as they are, and shares are met."""
    many = [shown(n, "car") for n in range(400)]
    few = made(vocabulary, many, share=0.1)
    assert 20 <= len(few) <= 65 and not made(vocabulary, many, share=0.0)
    assert made(vocabulary, many[:200], share=0.1) == few[: len([c for c in few if c.origin < 200])]
    assert all(c.question.unit.detail == "canary" and c.question.unit.sample == c.origin for c in few)


def test_pictures_are_swapped_with_samples_that_share_no_object(vocabulary: Vocabulary) -> None:
    other = Image.new("RGB", (16, 16), (1, 2, 3))
    questions = [shown(n, "car") for n in range(60)] + [replace(shown(60, "boat"), picture=other)]
    swapped = [c for c in made(vocabulary, questions) if c.kind == "swapped"]
    assert swapped and all(c.conflict for c in swapped)
    assert all(c.question.picture is (other if c.origin < 60 else GREY) for c in swapped)
    assert not [c for c in made(vocabulary, questions[:60]) if c.kind == "swapped"]  # cars all


def test_words_that_no_vocabulary_knows_are_swapped_too(vocabulary: Vocabulary) -> None:
    def told(sample: int, text: str) -> Question:
        words = {"prompt": text, "instruction": f"Show {text}.", "description": text, "so_far": "a blank canvas"}
        return Question(Unit(sample, step=1), Side.TEXT, words)

    questions = [told(0, "a lighthouse in fog"), told(1, "lighthouses at dusk"), told(2, "two dancers on a bridge")]
    for seed in range(8):
        these = [replace(q, unit=Unit(q.unit.sample + 10 * seed, step=1)) for q in questions]
        for c in made(vocabulary, these):
            if c.kind == "swapped":  # never one lighthouse for the other
                assert {c.origin, [q.variables["prompt"] for q in these].index(c.question.variables["prompt"])} != {
                    0,
                    1,
                }
            else:
                assert c.kind == "as asked" and c.question.variables["description"] == c.question.variables["prompt"]


def test_what_is_right_by_construction_is_not_asked_of_who_was_taught_other_words(vocabulary: Vocabulary) -> None:
    class Grammarian(Judge):
        grammar_only = True

    questions = [shown(n, "car") for n in range(60)]
    kinds = {c.kind for c in make_canaries(context(vocabulary, Grammarian(good)), questions, 1.0)}
    assert "plain" not in kinds and kinds <= {"colour", "noun"}
    plain = [c for c in made(vocabulary, questions) if c.kind == "plain"]
    assert plain and not any(c.conflict for c in plain)
    for c in plain:
        pixel = c.question.picture.getpixel((0, 0))  # type: ignore[union-attr]
        colour = c.question.variables["description"].split()[2]
        assert colour in c.question.variables["instruction"]
        assert max(range(3), key=lambda i: pixel[i]) == {"red": 0, "yellow": 0, "green": 1, "blue": 2}[colour]  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "old", "new", "then"),
    [
        ("Two red cars and a red cup.", "red", "blue", "Two blue cars and a blue cup."),
        ("Two cars.", "two", "three", "Three cars."),
        ("A car at the top left and a cup at the top.", "at the top", "at the bottom",
         "A car at the top left and a cup at the bottom."),
        ("A redwood in red.", "red", "blue", "A redwood in blue."),
    ],
)  # fmt: skip
def test_a_word_is_changed_wherever_it_stands_alone(text: str, old: str, new: str, then: str) -> None:
    assert _replaced(text, old, new) == then


def test_words_are_changed_whose_change_tells(vocabulary: Vocabulary) -> None:
    changes = list(_changes("Two red cars at the top and a cup.", vocabulary))
    assert {(kind, old) for kind, old, _ in changes} == {
        ("colour", "red"), ("count", "two"), ("place", "at the top"), ("noun", "cup"),
    }  # fmt: skip
    assert ("count", "two", "three") in changes and all(old != new for _, old, new in changes)
    assert not list(_changes("A red car and a blue car.", vocabulary))  # the changed one may be the other


def test_what_the_prompt_leaves_open_is_not_changed_in_texts(vocabulary: Vocabulary) -> None:
    """The prompt names a car, no colour; a step that paints it red or blue contradicts nothing."""
    questions = [shown(n, "car", Side.TEXT) for n in range(40)]
    questions = [replace(q, variables={**q.variables, "prompt": "a car in the rain"}) for q in questions]
    assert {c.kind for c in made(vocabulary, questions)} <= {"noun", "as asked", "swapped"}


def test_no_noun_takes_anothers_place_that_is_named_in_the_plural(vocabulary: Vocabulary) -> None:
    """Of two flowers and a boat, a flower in the boat's place would be of a wrong number, and no other thing."""
    questions = [shown(n, "boat", Side.TEXT) for n in range(200)]
    prompt = {"prompt": f"two {vocabulary.plural('flower')} and a red boat"}
    found = made(vocabulary, [replace(q, variables={**q.variables, **prompt}) for q in questions])
    nouns = {c.question.variables["description"] for c in found if c.kind == "noun"}
    assert "A red star." in nouns and "A red flower." not in nouns and "flower" in vocabulary.nouns


def test_a_changed_word_counts_where_the_step_itself_was_accepted(vocabulary: Vocabulary) -> None:
    """Of three drafts the first two pass; of the changed ones two are seen, one of them under its right name."""
    questions = [shown(n, noun) for n, noun in enumerate(("car", "cup", "boat"))]

    def answer(request: AskRequest) -> str:
        said = request.context["description"].lower()
        if "a red car" in said or "a red cup" in said:
            return critique()
        kind = "wrong_count" if request.context["prompt"].startswith("a red cup") else "wrong_attribute"
        return critique("conflict", kind)

    found, ledger = Counter[str](), Ledger()
    for seed in range(30):  # which kind each gets is drawn
        these = [replace(q, unit=Unit(q.unit.sample + 3 * seed, step=1)) for q in questions]
        ledger = Ledger()
        results = judge_watched(context(vocabulary, Judge(answer)), these, JudgeParams(), ledger, share=1.0)
        assert [r.conflict for r in results] == [False, False, True]  # type: ignore[union-attr]
        for kind, n in ledger.canaries.items():
            found.update({f"{kind} {name}": value for name, value in n.items()})
        heard = ledger.heard["critique_picture"]
        assert (heard.questions, heard.decided, heard.conflicts) == (3, 3, 1)  # canaries are not among them
    # of cars and cups all changes are seen, those of cups misnamed; boats are refused unchanged and do not count
    assert found["picture, colour asked"] == found["picture, colour right"] > found["picture, colour named"] > 0


def test_answers_are_counted_under_their_template(vocabulary: Vocabulary) -> None:
    def answer(request: AskRequest) -> str:
        said = request.context["description"]
        return "let us see" if "cup" in said else critique("conflict" if "boat" in said else "consistent")

    ledger, settings = Ledger(), JudgeParams(answers=3)
    questions = [shown(n, noun) for n, noun in enumerate(("car", "cup", "boat", "boat"))]
    judge_watched(context(vocabulary, Judge(answer)), questions, settings, ledger)
    heard = ledger.heard["critique_picture"]
    assert (heard.questions, heard.answers, heard.unread.total(), heard.unsound) == (4, 12, 3, 0)
    assert (heard.decided, heard.conflicts, heard.agreed, heard.of_decided) == (3, 2, 9, 9)
    assert heard.votes == {"0:3": 1, "0:0": 1, "3:0": 2} and (heard.repeated, heard.equal) == (4, 4)
    assert [words for _, words in heard.examples] == ["let us see"]  # each once
    (row,) = template_figures({"check": [ledger.answered(), ledger.answered()]})
    assert (row["asked"], row["unread"], row["conflict"], row["repaired"], row["agreement"]) == (8, 6, 4, None, 1.0)
    assert row["alpha"] == 1.0 and row["warning"] == ""  # eight questions are too few to warn
    greedy = Ledger()
    judge_watched(context(vocabulary, Judge(answer)), questions, JudgeParams(), greedy)
    assert greedy.heard["critique_picture"].repeated == 0


def test_the_reason_of_an_unread_answer_is_counted() -> None:
    class Said:
        bends: tuple[str, ...] = ("fence",)

        def __init__(self, error: Exception | None) -> None:
            self.error, self.answers = error, [Answer("", refused="No.")]

    heard = AnswerCounts()
    heard.hear([Said(AnswerError("it refuses", "refusal")), Said(ValueError("half a word")), Said(None)])
    silent = Said(TimeoutError("60 s"))
    silent.answers = []
    heard.hear([silent])
    assert heard.unread == {"refusal": 1, "ValueError": 1} and heard.failed == {"TimeoutError": 1}
    assert heard.examples == [("it refuses", "No."), ("half a word", "No.")]
    heard.hear([Said(ContentError("it names a star", "adds what the scene has not"))])  # its form was right
    assert heard.departed == {"adds what the scene has not": 1} and heard.unread.total() == 2
    assert (heard.bent, heard.bends) == (5, {"fence": 5})
    twice = total([heard.to_dict(), heard.to_dict()])
    assert (twice.questions, twice.answers, twice.unread["refusal"], len(twice.examples)) == (6, 10, 2, 2)


def test_alpha_is_krippendorffs() -> None:
    """Three questions of three answers: 3 for, 3 against, 2 to 1. Disagreement 2/9, by chance 2 * 5 * 4 / 72 = 5/9."""
    assert alpha({"3:0": 1, "0:3": 1, "2:1": 1}) == pytest.approx(1 - (2 / 9) / (5 / 9))
    assert alpha({"3:0": 1, "0:3": 1, "2:1": 1, "1:0": 50, "0:0": 9}) == pytest.approx(0.6)  # nothing to compare
    assert alpha({"0:3": 40}) is None and alpha({}) is None and alpha({"1:0": 3, "0:1": 4}) is None


def test_many_equal_answers_are_said() -> None:
    heard = AnswerCounts(questions=20, answers=60, decided=20, of_decided=60, agreed=60, repeated=20, equal=18)
    manifest = {"heard": {"critique_text": heard.to_dict()}}
    (row,) = template_figures({"critique": [manifest]})
    assert "18 of 20 questions" in row["warning"]
    assert any(line.startswith("warning: critique, critique_text") for line in figure_lines(
        {"templates": [row], "canaries": [], "people": {}}
    ))  # fmt: skip
    heard.equal = 17
    (row,) = template_figures({"critique": [{"heard": {"critique_text": heard.to_dict()}}]})
    assert not row["warning"]


def test_what_was_mended_is_told_of_the_template_that_found_it() -> None:
    found = AnswerCounts(decided=9, conflicts=4, votes=Counter({"1:0": 4, "0:1": 5}))
    tries = AnswerCounts(decided=6, conflicts=3, votes=Counter({"1:0": 3, "0:1": 3}))
    made = {"critique": found, "repair": tries}
    rows = template_figures({stage: [{"heard": {"critique_picture": n.to_dict()}}] for stage, n in made.items()})
    assert [(r["stage"], r["conflict"], r["repaired"]) for r in rows] == [("critique", 4, 3), ("repair", 3, None)]


def test_people_are_right() -> None:
    said = [("alignment_negative", 1, "accept"), ("alignment_negative", 2, "reject"), ("multi_turn", 3, "accept"),
            ("multi_turn", 9, "reject")]  # fmt: skip
    decisions = {(k, c): Decision(kind=k, content=c, decision=d) for k, c, d in said}  # type: ignore[arg-type]
    there = [
        {"kind": k, "content": c} for k, c in (("alignment_negative", 1), ("alignment_negative", 2), ("multi_turn", 3))
    ]
    found = people_figures(decisions, there)  # the fourth is about a picture that is no longer there
    assert found == {"alignment_negative": Share(1, 2).to_dict(), "multi_turn": Share(1, 1).to_dict()}
    assert people_figures({}, there) == {}
