"""Reading texts, plans and labels: what a chat puts around them is stripped where it is clear, else refused."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint.miniature.scenes import random_scene
from underpaint.miniature.world import vocabulary
from underpaint.schemas.markup import plan_text
from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.critique import Verdict
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import PLACE
from underpaint.stages.answers.answer import AnswerError, CritiqueError
from underpaint.stages.answers.label import read_label
from underpaint.stages.answers.plan import read_plan
from underpaint.stages.answers.text import read_text
from underpaint.stages.models.storyteller import tell

WORDS = vocabulary()
TEXT = (
    "A red car stands above two green fish on a sand background, in soft evening light. Long shadows lie on the grains,"
    " and the paint of the car has a dull, warm sheen."
)

BAD_TEXTS = [
    ("refusal", "I'm sorry, but I can't help with that.", "refusal"),
    ("refusal, then words", "I cannot help with that. A truck.", "refusal"),
    ("as an AI", "As an AI language model, I have no eyes. A red car stands there.", "refusal"),
    ("preamble within the text", f"Sure! {TEXT}", "chat around the text"),
    ("preamble within quotes", f'"Sure! {TEXT}"', "chat around the text"),
    ("preamble without an end", f"Here is a paragraph about a red car. {TEXT}", "chat around the text"),
    ("offer within the text", f"{TEXT} Let me know if you want more detail.", "chat around the text"),
    ("hope", f"{TEXT} I hope this helps!", "chat around the text"),
    ("question back", f"{TEXT} Would you like a version at night?", "chat around the text"),
    ("count of words", f"{TEXT} (Word count: 36.)", "chat around the text"),
    ("thinking without an end", f"<think>The user wants a paragraph. {TEXT}", "cut at the limit"),
    ("cut in a sentence", TEXT[:-20], "cut at the limit"),
    ("trails off", "A red car stands above two green fish, and then...", "cut at the limit"),
    ("fence without an end", f"```\n{TEXT}", "cut at the limit"),
    ("list of parts as Python", "['A red car', 'two green fish', 'on a sand background']", "list of parts"),
    ("list of parts as JSON", json.dumps([{"part": "A red car."}, {"part": "Two green fish."}]), "list of parts"),
    ("object of several fields", json.dumps({"scene": "A red car.", "style": "oil"}), "list of parts"),
    ("bullets", "- A red car.\n- Two green fish.\n- A sand background.", "list of parts"),
    ("numbers", "1. A red car stands there.\n2. Two green fish lie below.", "list of parts"),
    ("alternatives", f"Option 1: {TEXT}\n\nOption 2: {TEXT}", "several alternatives"),
    ("alternatives in fences", f"```\n{TEXT}\n```\nor\n```\n{TEXT}\n```", "several alternatives"),
    ("the same over and over", "The red car is red and the " * 12 + "car is red.", "babble"),
    ("a sentence twice", f"{TEXT} The sand is warm and pale. A hush. The sand is warm and pale.", "babble"),
    ("quotation marks that stay open", f'"A red car above two green fish. {TEXT}', "babble"),
    ("words about the task", "That answer can be rephrased to fit: the red car is large.", "chat around the text"),
    ("words to whoever asks", f"{TEXT} You are presented with a car.", "chat around the text"),
    ("no words", "@@ ## 17 %% 0x00 ;; 42 {{}} == !!", "babble"),
    ("endless word", "A " + "red" * 20 + " car.", "babble"),
    ("a control token", "A red car.<|im_start|>user A blue car.", "tag or control token"),
    ("tags", "<ins>Paint a red car.</ins>", "tag or control token"),
    ("half a character", f"{TEXT} \ud83d", "half a character"),
    ("blank", '""', "tag or control token"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), [b[1:] for b in BAD_TEXTS], ids=[b[0] for b in BAD_TEXTS])
def test_bad_texts_are_refused(text: str, reason: str) -> None:
    with pytest.raises(AnswerError) as refused:
        read_text(text)
    assert refused.value.reason == reason


GOOD_TEXTS = [
    (TEXT, ()),
    (f'"{TEXT}"', ("quotes",)),
    (f"“{TEXT}”", ("quotes",)),
    (f"<think>A paragraph.</think>\n\n{TEXT}", ("thinking",)),
    (f"```text\n{TEXT}\n```", ("fence",)),
    (f"Sure! Here is the paragraph:\n\n```\n{TEXT}\n```\n\nLet me know if you want more.", ("fence", "preamble")),
    (f"Sure! Here's the rewritten prompt:\n\n{TEXT}", ("preamble",)),
    (f"**Prompt:** {TEXT}", ("preamble",)),
    (f"# A car above fish\n\n{TEXT}", ("heading",)),
    (f"{TEXT}\n\nLet me know if you'd like another one!", ("offer of more",)),
    (f"{TEXT}\n\n(36 words)", ("offer of more",)),
    (json.dumps({"prompt": TEXT}), ("wrapped",)),
    (TEXT.replace("red car", "**red car**"), ("markdown",)),
    (TEXT.replace(". ", ".\n\n"), ()),
    (f"{TEXT}<|im_end|>", ("stop token",)),
]


@pytest.mark.parametrize(("answer", "bends"), GOOD_TEXTS)
def test_a_text_is_read_out_of_what_stands_around_it(answer: str, bends: tuple[str, ...]) -> None:
    read = read_text(answer)
    assert (read.value, read.bends) == (TEXT, bends)


@given(st.integers(0, 10**9), st.integers(20, 150))
def test_true_texts_are_read_as_they_are(seed: int, words: int) -> None:
    rng = random.Random(seed)
    text = tell(describe(random_scene(rng).without(PLACE), WORDS), words, rng, WORDS)
    assert (read_text(text).value, read_text(text).bends) == (text, ())


STEP = ("Add a blue cup.", "A red car and a blue cup.")
PLAN = plan_text(*STEP)


@pytest.mark.parametrize(
    ("answer", "step", "bends"),
    [
        (PLAN, STEP, ()),
        ("done", None, ()),
        ("Done.", None, ()),
        (f"Step 1: {PLAN}", STEP, ("label",)),
        (f"**Next step:**\n{PLAN}", STEP, ("label",)),
        (f"```xml\n{PLAN}\n```", STEP, ("fence",)),
        (f"<think>Is it done? No.</think>{PLAN}", STEP, ("thinking",)),
        (f"The cup is still to come.\n{PLAN}", STEP, ("prose",)),
        (PLAN.replace("ins>", "INS>"), STEP, ()),
        (PLAN + "\n" + PLAN, STEP, ()),
        (f"Instruction: {STEP[0]}\nDescription: {STEP[1]}", STEP, ("labels in place of tags",)),
        (
            json.dumps({"instruction": STEP[0], "description": STEP[1], "done": False}),
            STEP,
            ("object in place of tags",),
        ),
        ('{"done": true}', None, ("object in place of tags",)),
        ("Done — nothing is missing.", None, ("done in other words",)),
        ("Nothing is missing.", None, ("done in other words",)),
        ("**Done.** The picture is complete.", None, ("done in other words",)),
    ],
)
def test_a_plan_is_read(answer: str, step: tuple[str, str] | None, bends: tuple[str, ...]) -> None:
    read = read_plan(answer)
    assert (read.value, read.bends) == (step, bends)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (f"{PLAN}\nDone.", "contradicts itself"),
        (f"Nothing is missing.\n{PLAN}", "contradicts itself"),
        (plan_text("done", "done"), "contradicts itself"),
        (plan_text("Now the picture is done", "The picture is finished"), "contradicts itself"),
        (plan_text("I'm sorry, I cannot help with that.", "A cup."), "refusal"),
        (plan_text("Add a cup.", "A cup, as the prompt says."), "chat around the text"),
        (plan_text("Add a cup.", "The cat and dog are cats. " * 4), "babble"),
        (json.dumps({"instruction": STEP[0], "description": STEP[1], "done": True}), "contradicts itself"),
        (f"Step 1: {PLAN}\nStep 2: {plan_text('Add a fish.', 'A fish.')}", "several steps"),
        ("not done", "no step"),
        ("Done with the car; next comes the cup.", "no step"),
        ("<ins>Add a blue cup.</ins>", "no step"),
        ("<ins>Add a blue cup.</ins><des>A red car and", "cut at the limit"),
        ("<ins>Add a <ins>cup</ins></ins><des>A cup.</des>", "no step"),
        ("<ins> </ins><des>A cup.</des>", "field missing"),
        ('{"instruction": "Add a cup."}', "field missing"),
        ('{"done": "maybe"}', "field of another type"),
        ("I'm sorry, I can't help with that.", "refusal"),
        ("let us see", "no step"),
    ],
)
def test_a_plan_that_is_none_or_two_is_refused(answer: str, reason: str) -> None:
    with pytest.raises(AnswerError) as refused:
        read_plan(answer)
    assert refused.value.reason == reason


LABELS = {"Correct": Verdict.CONSISTENT, "Incorrect": Verdict.CONFLICT}
VERDICTS = Path(__file__).parents[1] / ".." / "shared" / "data" / "gpt4v_verdicts" / "verdicts.jsonl"


def test_a_label_under_prose_is_a_critique() -> None:
    said = "The picture shows a red vase. No book is visible. The picture does not match the caption."
    for end in ("\n\nIncorrect", "\nIncorrect.", " Incorrect."):
        read = read_label(said + end, LABELS, FaultKind.MISSING_OBJECT)
        assert read.bends == () and read.value.verdict is Verdict.CONFLICT and read.value.analysis == said
        (finding,) = read.value.findings
        assert (finding.kind, finding.detail) == ("missing_object", "No book is visible.")
        assert read.value.correction == "" and read.value.observed == ()
    read = read_label("It shows a vase.\n\n**Verdict: correct**", LABELS, "odd")
    assert (read.value.verdict, read.value.findings, read.bends) == (Verdict.CONSISTENT, (), ("spelling of a label",))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("The picture shows a vase.", "no label"),
        ("It is not entirely incorrect.", "no label"),
        ("Correct.\n\nBut no: the book is missing.\n\nIncorrect", "contradicts itself"),
        ("Incorrect", "field missing"),
        ("I cannot view the image.\n\nIncorrect", "refusal"),
        ("I'm sorry, I can't assist with that.", "refusal"),
        ("<think>A vase. Correct", "cut at the limit"),
    ],
)
def test_what_is_no_label_is_refused(answer: str, reason: str) -> None:
    with pytest.raises(CritiqueError) as refused:
        read_label(answer, LABELS, "odd")
    assert refused.value.reason == reason


def test_real_verdicts_are_read_as_their_authors_read_them() -> None:
    """1,208 answers of GPT-4V, published with the label that was read from each."""
    if not VERDICTS.is_file():
        pytest.skip(f"the published verdicts are not here ({VERDICTS})")
    rows = [json.loads(line) for line in VERDICTS.read_text(encoding="utf-8").splitlines()]
    read = [read_label(row["response"], LABELS, "odd").value for row in rows]
    right = [(c.verdict is Verdict.CONSISTENT) == row["correct"] for c, row in zip(read, rows, strict=True)]
    assert len(rows) == 1208 and all(right)
    assert all(f.detail in row["response"] for c, row in zip(read, rows, strict=True) for f in c.findings)
