"""Turns a sample into the items of a packed sequence: copies of pictures, losses, and labels of control tokens.

The kinds of item are those of BAGEL's `sequence_plan` (ByteDance-Seed/Bagel, data/dataset_base.py), as in NeMo
AutoModel: a text; a picture as VAE latents, noised as a target and clean as context; a picture as ViT tokens. This
module needs no torch; `pipeline.training.bagel` turns items into tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from underpaint.schemas.corpus.sample import Sample, Segment

ItemKind = Literal["text", "vae_image", "vit_image"]
Label = Literal["", "<|im_start|>", "<|vision_start|>", "<|im_end|>"]
TEXT_FOLLOWS: Label = "<|im_start|>"
PICTURE_FOLLOWS: Label = "<|vision_start|>"
STOP: Label = "<|im_end|>"
JOINT = "\n"  # between an inspect and its refine, which are one text to the model


@dataclass(frozen=True)
class Policy:
    """Choices of the trainer, which therefore are not stored in the corpus.

    The four `cfg_…` say which items the packer may drop, each at its own rate, for classifier-free guidance. The labels
    of a dropped item are lost, so texts that carry loss are kept unless `cfg_assistant_text` is set, as BAGEL's own
    datasets do.
    """

    cfg_prompt: bool = True
    cfg_assistant_text: bool = False
    cfg_vae: bool = True
    cfg_vit: bool = True
    final_vit_copy: bool = True  # it carries the stop label, without which the model never learns to end
    per_step: bool = False  # one short sequence per step instead of the whole trajectory


@dataclass(frozen=True)
class Item:
    """One entry of a sequence plan. `content` is a text, or a picture's name."""

    kind: ItemKind
    content: str
    loss: bool
    cfg: bool
    label: Label = ""  # what the item's closing token (<|im_end|>, <|vision_end|>) must predict; "": no loss there

    def __str__(self) -> str:
        """ "vit_image img0.webp  context cfg → <|im_start|>" """
        words = [self.kind, self.content, "target" if self.loss else "context"]
        words += ["cfg"] if self.cfg else []
        return " ".join([*words, "→", self.label] if self.label else words)


def sequences(sample: Sample, policy: Policy) -> list[list[Item]]:
    """The sample's sequences: one for all, or one per step if the policy says so. Each has a target."""
    if not policy.per_step:
        return [sequence(sample.segments, sample.complete, policy)]
    pieces = list(step_pieces(sample.segments))
    last = len(pieces) - 1
    return [sequence(p, sample.complete and i == last, policy) for i, p in enumerate(pieces)]


def step_pieces(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """For every step with a target: the prompt, the last picture before the step as context, and the step.

    UniCoT's authors found short pieces cheaper and better than whole sequences (Fr0zenCrane/UniCoT issue 2). Of earlier
    steps the model then sees only the picture.
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
    """The items of one sequence, in order. `complete` means that it ends with the trajectory's last picture.

    The label of a segment is on its last item. For a picture that is the ViT copy, never the noised one, since it is
    what the model sees last when it generates.
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
    """The segments, with adjacent texts of equal role and loss joined into one."""
    for (kind, _, _), group in groupby(segments, key=lambda s: (s.type, s.role, s.loss)):
        run = list(group)
        if kind == "image" or len(run) == 1:
            yield from run
        else:
            yield run[0].model_copy(update={"text": JOINT.join(s.text for s in run)})
