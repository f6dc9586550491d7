"""The Arrow schema of every stage's table. A row is identified by its sample, rollout and step, as far as it has them.

`sample` is the index in the stream, `rollout` counts the policy's attempts at a prompt, `step` counts from 1.
Scene graphs are the JSON of `schemas.scenes.scene.SceneGraph`; critiques that of `schemas.scenes.critique.Critique`.
Pictures are encoded files (lossless WebP), RGB, stored once: in the table of the stage that painted them.
"""

from __future__ import annotations

import pyarrow as pa

_SAMPLE = [pa.field("sample", pa.int64(), nullable=False)]
_STEP = [*_SAMPLE, pa.field("step", pa.int16(), nullable=False)]
_ROLLOUT_STEP = [
    *_SAMPLE,
    pa.field("rollout", pa.int16(), nullable=False),
    pa.field("step", pa.int16(), nullable=False),
]


def _text(*names: str) -> list[pa.Field]:
    return [pa.field(n, pa.string(), nullable=False) for n in names]


_PICTURE = [pa.field("picture", pa.binary(), nullable=False), pa.field("seed", pa.int64(), nullable=False)]
# The CLIP scores of all pictures painted for this row, of which the best was kept; empty where only one was painted.
_SCORES = pa.field("scores", pa.list_(pa.float32()), nullable=False)
_CRITIQUE = [
    *_text("verdict", "critique", "template", "template_sha256"),
    # The share of the judge's answers that support the verdict; answers that do not count support none.
    pa.field("agreement", pa.float32(), nullable=False),
    pa.field("answers", pa.list_(pa.string()), nullable=False),  # raw, in order of attempt
    # The arbiter's raw answer, "" where it was not asked; and who decided: judge, arbiter or grammar.
    *_text("arbiter", "decided_by"),
]
CRITIQUE_COLUMNS = tuple(f.name for f in _CRITIQUE)

PROMPTS = pa.schema(
    [
        *_SAMPLE,
        *_text("category", "prompt", "scene"),
        *_text("short", "origin"),  # the prompt before it was enriched; who made the graph: composer, grammar or writer
        pa.field("templates", pa.list_(pa.string()), nullable=False),  # digests of the templates used to ask the writer
    ]
)
PLAN = pa.schema(
    [
        *_STEP,
        pa.field("steps", pa.int16(), nullable=False),  # pictures of the whole trajectory
        *_text("op", "detour", "instruction", "description", "scene"),  # detour: "", modify, swap or remove
    ]
)
DRAFT = pa.schema([*_STEP, *_PICTURE, _SCORES])
CHECK = pa.schema([*_STEP, *_CRITIQUE])
ROLLOUT = pa.schema(
    [
        *_ROLLOUT_STEP,
        pa.field("steps", pa.int16(), nullable=False),
        pa.field("finished", pa.bool_(), nullable=False),  # whether the policy itself said that nothing is missing
        *_text("so_far", "instruction", "description"),
        pa.field("writer_seed", pa.int64(), nullable=False),
        *_PICTURE,
    ]
)
CRITIQUE = pa.schema([*_ROLLOUT_STEP, *_text("side"), *_CRITIQUE])
CONFLICT = pa.schema([*_ROLLOUT_STEP, *_text("polarity"), *_CRITIQUE])
REPAIR = pa.schema(
    [
        *_ROLLOUT_STEP,
        pa.field("attempt", pa.int16(), nullable=False),  # from 1
        *_text("method"),  # sibling, edit (of the flawed draft) or repaint (of the step)
        pa.field("accepted", pa.bool_(), nullable=False),
        *_text("verdict"),  # the judge's verdict on this picture; "" where it gave none
        pa.field("agreement", pa.float32(), nullable=False),  # 1 where an arbiter decided
        *_PICTURE,
        _SCORES,
    ]
)
ALIGNMENT = pa.schema(
    [
        *_ROLLOUT_STEP,
        *_text("polarity"),
        *_CRITIQUE,
        pa.field("tries", pa.int16(), nullable=False),  # the attempt of `REPAIR` that was accepted; 0 for positives
        *_text("repair"),  # the repair's method; "" for positives
        pa.field("repair_agreement", pa.float32(), nullable=False),  # the judge's agreement on it; 1 for positives
    ]
)
SCORE = pa.schema(
    [
        *_ROLLOUT_STEP,
        pa.field("attempt", pa.int16(), nullable=False),  # of `REPAIR`; 0 for the draft itself
        *_text("name"),
        pa.field("value", pa.float32(), nullable=False),
    ]
)
CANDIDATES = pa.schema(
    [
        *_ROLLOUT_STEP,  # rollout and step are 0 for a whole trajectory
        *_text("kind", "category", "scene"),  # kind: subset and polarity; scene: the scene's key
        *_text("prompt", "short"),  # short: before it was enriched
        pa.field("pictures", pa.int16(), nullable=False),
        pa.field("content", pa.int64(), nullable=False),  # equal for duplicates
        *_text("fault"),  # why it cannot be shipped at any thresholds; "" where it can
        pa.field("agreement", pa.float32(), nullable=False),
        # Cosines; null where there is nothing to compare. A trajectory has those of its worst picture.
        pa.field("picture_text", pa.float32()),
        pa.field("neighbour", pa.float32()),
        pa.field("margin", pa.float32()),
        *_text("detour", "repair"),
        pa.field("tries", pa.int16(), nullable=False),
        pa.field("findings", pa.list_(pa.string()), nullable=False),  # kinds of fault that the critique names
    ]
)

# `sample` counts cases here, not prompts of the stream. `truth` is the right critique, `fault` the kind planted.
CALIBRATION = pa.schema(
    [
        *_SAMPLE,
        *_text("side", "fault"),
        pa.field("incomplete", pa.bool_(), nullable=False),  # parts of the prompt are still to come
        *_text("truth", "prompt", "so_far", "instruction", "description"),
        pa.field("picture", pa.binary(), nullable=False),  # empty on the text side
        *_CRITIQUE,
        # The verdict that each answer states, before its observations are checked; "" where it does not parse.
        pa.field("own_verdicts", pa.list_(pa.string()), nullable=False),
    ]
)
