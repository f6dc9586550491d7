"""What a sample becomes in a packed sequence: which copies of a picture, what carries loss, what announces what.

The vocabulary is that of BAGEL's `sequence_plan` (ByteDance-Seed/Bagel, data/dataset_base.py), which NeMo AutoModel
shares: a text; a picture as VAE latents, noised where it is a target and clean where it is context; a picture as ViT
tokens. No torch here; `pipeline.training.bagel` turns items into tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from underpaint.schemas.corpus.sample import Sample, Segment

Kind = Literal["text", "vae_image", "vit_image"]
Label = Literal["", "<|im_start|>", "<|vision_start|>", "<|im_end|>"]
TEXT_FOLLOWS: Label = "<|im_start|>"
PICTURE_FOLLOWS: Label = "<|vision_start|>"
STOP: Label = "<|im_end|>"
JOINT = "\n"  # between an inspect and its refine, which are one text to the model


@dataclass(frozen=True)
class Policy:
    """What is the trainer's to choose, and so is not stored in the corpus.

    The four `cfg_…` say which items the packer may drop, each at its own rate, for classifier-free guidance. A dropped
    item takes its labels with it, so texts that carry loss stay unless `cfg_assistant_text` is set, as BAGEL's stock
    datasets do.
    """

    cfg_prompt: bool = True
    cfg_assistant_text: bool = False
    cfg_vae: bool = True
    cfg_vit: bool = True
    final_vit_copy: bool = True  # carries the stop label; without it a trajectory never learns to end
    per_step: bool = False  # short sequences, one a step, instead of the whole trajectory


@dataclass(frozen=True)
class Item:
    """One entry of a sequence plan. `content` is a text, or a picture's name."""

    kind: Kind
    content: str
    loss: bool
    cfg: bool
    label: Label = ""  # what the item's closing token (<|im_end|>, <|vision_end|>) has to predict; "": no loss there

    def __str__(self) -> str:
        """ "vit_image img0.webp  context cfg → <|im_start|>" """
        words = [self.kind, self.content, "target" if self.loss else "context"]
        words += ["cfg"] if self.cfg else []
        return " ".join([*words, "→", self.label] if self.label else words)


def sequences(sample: Sample, policy: Policy) -> list[list[Item]]:
    """The sample's sequences: one, or one a step where the policy says so. Each has a target."""
    if not policy.per_step:
        return [sequence(sample.segments, sample.complete, policy)]
    pieces = list(step_pieces(sample.segments))
    last = len(pieces) - 1
    return [sequence(p, sample.complete and i == last, policy) for i, p in enumerate(pieces)]


def step_pieces(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """For every step with a target: the prompt, the last picture before the step as context, and the step.

    UniCoT's authors found short pieces cheaper and better than whole sequences (Fr0zenCrane/UniCoT issue 2); what the
    model then knows of earlier steps is what the picture shows.
    """
    prompt, rest = segments[0], segments[1:]
    before: list[Segment] = []
    for _, group in groupby(rest, key=lambda s: s.step):
        step = list(group)
        if any(s.loss for s in step):
            yield [prompt, *before, *step]
        pictures = [s for s in step if s.type == "image"]
        if pictures:
            before = [pictures[-1].model_copy(update={"loss": 0})]


def sequence(segments: Sequence[Segment], complete: bool, policy: Policy) -> list[Item]:
    """The items of one sequence, in order. `complete`: it ends with the trajectory's last picture.

    The label of a segment sits on its last item, which for a picture is the ViT copy: the state that the model is in
    when it generates, never the noised copy.
    """
    items: list[Item] = []
    merged = list(_merged(segments))
    for segment, following in zip(merged, [*merged[1:], None], strict=True):
        label: Label = ""
        if following is not None and following.loss:
            label = PICTURE_FOLLOWS if following.type == "image" else TEXT_FOLLOWS
        if segment.type == "text":
            cfg = policy.cfg_prompt if segment.role == "user" else policy.cfg_assistant_text
            items.append(Item("text", segment.text, bool(segment.loss), cfg, label))
            continue
        if segment.loss:
            items.append(Item("vae_image", segment.image, loss=True, cfg=False))
        if following is not None:
            items.append(Item("vae_image", segment.image, loss=False, cfg=policy.cfg_vae))
            items.append(Item("vit_image", segment.image, loss=False, cfg=policy.cfg_vit, label=label))
        elif complete and policy.final_vit_copy:
            items.append(Item("vit_image", segment.image, loss=False, cfg=False, label=STOP))
    return items


def _merged(segments: Sequence[Segment]) -> Iterator[Segment]:
    """Adjacent texts of the same speaker and the same loss as one."""
    for (kind, _, _), group in groupby(segments, key=lambda s: (s.type, s.role, s.loss)):
        run = list(group)
        if kind == "image" or len(run) == 1:
            yield from run
        else:
            yield run[0].model_copy(update={"text": JOINT.join(s.text for s in run)})
