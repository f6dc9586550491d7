"""conflict: which text critiques become samples. Every reason to leave one out, and what the grammar cannot read."""

from __future__ import annotations

from typing import Any

import pytest
from stage_inputs import critique, run_stage, scene

from underpaint.schemas.scenes.inspection import DEAD_END
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import conflict
from underpaint.stages.common.stage import Outcome

PROMPT = "A red car and a blue cup."
CAR, CUP, BLANK = "A red car at the top left.", "A blue cup at the top right.", "a blank canvas"
BOTH = "A red car at the top left and a blue cup at the top right."
TORN_APART = "nothing that a grammar reads"


def run(
    vocabulary: Vocabulary, so_far: str, instruction: str, description: str, said: str, prompt: str = PROMPT
) -> Outcome:
    at = {"sample": 3, "rollout": 1, "step": 2}
    words = {"so_far": so_far, "instruction": instruction, "description": description}
    verdict = "conflict" if '"conflict"' in said else "incomplete" if '"incomplete"' in said else "consistent"
    rest = {"verdict": verdict, "critique": said, "agreement": 0.75, "decided_by": "judge", "template": "t"}
    return run_stage(
        conflict.STAGE,
        vocabulary,
        {
            "prompts": [
                {"sample": 2, "scene": scene("A green fish.", vocabulary)},
                {"sample": 3, "scene": scene(prompt, vocabulary)},
            ],
            "rollout": [{**at, "step": 1}, {**at, **words}, {**at, "rollout": 0}],
            "critique": [{**at, "side": "picture", **rest}, {**at, "side": "text", **rest}],
        },
        second_check="none",
    )


def why(made: Outcome) -> str:
    """Why the one text critique was left out; "" where it was kept."""
    summary = made.ledger.summary()
    assert summary["entered"] == 1 and summary["kept"] == made.table.num_rows and not summary["failed"]
    return " ".join(summary["rejected"])


@pytest.mark.parametrize(
    ("so_far", "instruction", "description", "reason"),
    [
        (BLANK, "Paint a red car at the top left.", CAR, ""),
        (CAR, "Add a blue cup at the top right.", BOTH, ""),
        (CAR, "Add a blue cup at the top right.", CAR, "instruction and description disagree"),
        (BLANK, "Paint a red car at the top left.", CUP, "instruction and description disagree"),
        (BOTH, "Remove the blue cup.", CAR, "the step takes away what is wanted"),
        (f"{CAR[:-1]} and a green fish at the top right.", "Remove the green fish.", CAR, ""),  # nobody wants it
        (
            CAR,
            "Add a blue cup at the top left.",
            "A red car at the top left and a blue cup at the top left.",
            "two things in one place",
        ),
        (TORN_APART, "Do as you like.", CAR, ""),
        (TORN_APART, "Do as you like.", TORN_APART, ""),  # what nobody can read speaks against nothing
        (
            TORN_APART,
            "Do as you like.",
            "A red car at the top left and a blue cup at the top left.",
            "two things in one place",
        ),
    ],
)
@pytest.mark.parametrize("verdict", ["consistent", "incomplete"])
def test_a_text_that_is_agreed_to_must_lead_on(
    vocabulary: Vocabulary, so_far: str, instruction: str, description: str, reason: str, verdict: str
) -> None:
    made = run(vocabulary, so_far, instruction, description, critique(verdict))
    assert why(made) == reason
    if not reason:
        kept = kept_of(made)
        assert (kept["polarity"], kept["verdict"]) == ("positive", verdict)
        assert kept["checked_by"] == ("nobody" if so_far == TORN_APART else "grammar")


def kept_of(made: Outcome) -> dict[str, Any]:
    (row,) = made.table.to_pylist()
    assert (row["sample"], row["rollout"], row["step"]) == (3, 1, 2)
    assert (row["agreement"], row["decided_by"], row["template"]) == (0.75, "judge", "t")
    return dict(row)


@pytest.mark.parametrize(
    ("correction", "reason"),
    [
        ("Add a blue cup at the top right.", ""),
        ("Add a green cup at the top right.", "the correction repeats the instruction"),
        ("  Add a green cup at the top right. ", "the correction repeats the instruction"),
        (DEAD_END, "no correction leads on"),
        ("Add a yellow cup at the top right.", "the correction contradicts the prompt"),
        ("Add a blue cup at the top left.", "after the correction two things in one place"),
        ("Think again.", ""),  # nothing that the grammar reads
        ("Remove the green star.", ""),  # nothing that is there
    ],
)
def test_a_correction_must_be_right_itself(vocabulary: Vocabulary, correction: str, reason: str) -> None:
    said = critique("conflict", "wrong_attribute", correction)
    green = BOTH.replace("blue", "green")
    made = run(vocabulary, CAR, "Add a green cup at the top right.", green, said)
    assert why(made) == reason
    if not reason:
        kept = kept_of(made)
        assert (kept["polarity"], kept["verdict"], kept["critique"]) == ("negative", "conflict", said)
        assert kept["checked_by"] == ("grammar" if correction.startswith("Add") else "nobody")


def test_one_that_is_left_out_ends_nothing(vocabulary: Vocabulary) -> None:
    words = {"so_far": BLANK, "instruction": "Paint a red car at the top left."}
    descriptions = [CUP, CAR, CUP, CAR]  # the first and the third are not what the instruction says
    given = {
        "prompts": [{"sample": 3, "scene": scene(PROMPT, vocabulary)}],
        "rollout": [{"sample": 3, "rollout": n, **words, "description": d} for n, d in enumerate(descriptions)],
        "critique": [
            {"sample": 3, "rollout": n, "side": "text", "verdict": "consistent", "critique": critique()}
            for n in range(4)
        ],
    }
    made = run_stage(conflict.STAGE, vocabulary, given)
    assert made.table["rollout"].to_pylist() == [1, 3]
    rejected = {"instruction and description disagree": 2}
    assert made.ledger.summary() == {"entered": 4, "kept": 2, "rejected": rejected, "failed": {}}


def test_only_texts_are_taken(vocabulary: Vocabulary) -> None:
    rows: list[dict[str, Any]] = [{"sample": 3, "side": "picture", "verdict": "consistent", "critique": critique()}]
    made = run_stage(conflict.STAGE, vocabulary, {"critique": rows})
    assert made.ledger.summary() == {"entered": 0, "kept": 0, "rejected": {}, "failed": {}}
