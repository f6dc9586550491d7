"""Turns multi-turn shards into dialogues for a writer, in the form in which the rollout stage will ask it.

The request holds the prompt and the description so far. The answer is the next plan, or "done" after the last one.
"""

from __future__ import annotations

from pathlib import Path

from underpaint.miniature.dialogues import Dialogue, templates
from underpaint.schemas.corpus.reader import Reader, shards_of
from underpaint.schemas.corpus.sample import Sample, SplitName
from underpaint.schemas.corpus.subsets import MULTI_TURN
from underpaint.schemas.markup import BLANK, DONE, parse_plan
from underpaint.schemas.scenes.scene import SceneGraph


def dialogues_of(sample: Sample) -> list[Dialogue]:
    """The rollout stage's requests for all steps of a multi-turn sample, with the sample's own texts as answers."""
    plans = [s.text for s in sample.segments if s.stage == "plan"]
    descriptions = [BLANK, *(parse_plan(text)[1] for text in plans)]
    answers = [*plans, DONE] if sample.complete else plans
    found = []
    for so_far, answer in zip(descriptions, answers, strict=False):
        context = {"prompt": sample.prompt, "so_far": so_far}
        for template in templates()["write"]:
            found.append(Dialogue("write", template.render(**context), answer, context, SceneGraph()))
    return found


def read_dialogues(corpus: Path, split: SplitName) -> list[Dialogue]:
    """The dialogues of all multi-turn samples of a split. Raises ReaderError where there is no shard."""
    reader = Reader(shards_of(corpus, MULTI_TURN.name, split), seed=None)
    return [dialogue for example in reader for dialogue in dialogues_of(example.sample)]
