"""What a multi-turn shard teaches a writer: everything that the rollout stage will ask it is in the segments.

The prompt and the description so far are answered by the next plan, and by "done" after the last.
"""

from __future__ import annotations

from pathlib import Path

from underpaint.miniature.dialogues import BLANK, DONE, Dialogue, templates
from underpaint.schemas.corpus.reader import Reader, shards_of
from underpaint.schemas.corpus.sample import Sample, SplitName
from underpaint.schemas.corpus.subsets import MULTI_TURN
from underpaint.schemas.markup import parse_plan
from underpaint.schemas.scenes.scene import SceneGraph


def dialogues_of(sample: Sample) -> list[Dialogue]:
    """What the rollout stage would have asked for every step of a multi-turn sample, with the sample's own answers."""
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
    """Of every multi-turn sample of a split. Raises schemas.corpus.reader.ReaderError where there is no shard."""
    reader = Reader(shards_of(corpus, MULTI_TURN.name, split), seed=None)
    return [dialogue for example in reader for dialogue in dialogues_of(example.sample)]
