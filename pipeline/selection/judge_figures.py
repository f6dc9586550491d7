"""The judge in figures, template by template: how it was understood, how sure it is, and what people say of it.

Read from the manifests of the lots that are done (`stages.common.figures`), and from the decisions of `review`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import krippendorff
import numpy as np

from underpaint.pipeline.selection.decisions import Decisions
from underpaint.schemas.interval import Share
from underpaint.stages.common.figures import AnswerCounts, total
from underpaint.stages.judgement.canaries import NAMED_BY

ALIKE = 0.9  # a share of byte-equal answers from which on a person is told
REPEATED = 20  # of so many questions at least


def alpha(votes: Mapping[str, int]) -> float | None:
    """Krippendorff's alpha (nominal: conflict or not) of answers to the same questions; `votes` as in `AnswerCounts`.

    1 is full agreement, 0 what chance would give. None where no question has two answers, or all answers are the same,
    so that chance alone would agree as well. (K. Krippendorff, Content Analysis, 4th ed. 2019, chapter 12.)
    """
    counts = [list(map(int, sides.split(":"))) for sides, n in votes.items() for _ in range(n)]
    counts = [sides for sides in counts if sum(sides) > 1]  # a single answer is paired with none
    table = np.array(counts, int).reshape(-1, 2)
    if not table.any(axis=0).all():
        return None
    return float(krippendorff.alpha(value_counts=table, level_of_measurement="nominal"))


def template_figures(stages: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each stage and template, from the stages' manifests.

    `repaired` is how many drafts that the template's critique called wrong were mended; None where none is tried.
    """
    found: dict[tuple[str, str], AnswerCounts] = {}
    for stage, manifests in stages.items():
        heard = [m.get("heard", {}) for m in manifests]
        for template in sorted({t for one in heard for t in one}):
            found[stage, template] = total([one[template] for one in heard if template in one])
    rows = []
    for (stage, template), h in found.items():
        tries = found.get(("repair", template)) if stage == "critique" else None
        rows.append(
            {
                "stage": stage, "template": template, "asked": h.questions, "answers": h.answers,
                "unread": h.unread.total(), "unread_by": dict(h.unread.most_common()), "failed": dict(h.failed),
                "departed": dict(h.departed.most_common()), "unsound": h.unsound, "bent": h.bent,
                "bends": dict(h.bends.most_common()), "decided": h.decided,
                "conflict": h.conflicts if h.votes else None,  # None of a writer or a check
                "repaired": tries.decided - tries.conflicts if tries and h.votes else None,
                "agreement": round(h.agreed / h.of_decided, 4) if h.of_decided else None,
                "alpha": None if (a := alpha(h.votes)) is None else round(a, 4),
                "repeated": h.repeated, "equal": h.equal, "warning": _alike(f"{stage}, {template}", h),
            }
        )  # fmt: skip
    return rows


def canary_figures(stages: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each stage and kind of canary: the shares answered rightly, and, of changed words, named rightly."""
    rows = []
    for stage, manifests in stages.items():
        summed: dict[str, Counter[str]] = {}
        for kind, n in (pair for m in manifests for pair in m.get("canaries", {}).items()):
            summed.setdefault(kind, Counter()).update(n)
        for kind, n in sorted(summed.items()):
            named = Share(n["named"], n["asked"]).to_dict() if kind.partition(", ")[2] in NAMED_BY else None
            right = Share(n["right"], n["asked"]).to_dict()
            rows.append({"stage": stage, "kind": kind, "right": right, "named": named})
    return rows


def people_figures(decisions: Decisions, candidates: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By kind of sample: of those that people decided about, the share that they accept, i.e. where the judge is right.

    `candidates` have the columns kind and content. Decisions about what is no longer there do not count.
    """
    there = {(c["kind"], c["content"]) for c in candidates}
    said = [(kind, d.decision == "accept") for (kind, content), d in decisions.items() if (kind, content) in there]
    by_kind = {kind: [accepted for k, accepted in said if k == kind] for kind, _ in sorted(said)}
    return {kind: Share(sum(accepted), len(accepted)).to_dict() for kind, accepted in by_kind.items()}


def _alike(name: str, heard: AnswerCounts) -> str:
    """A warning where questions are asked several times for nothing; "" where they are not."""
    if heard.repeated < REPEATED or heard.equal < ALIKE * heard.repeated:
        return ""
    return (
        f"{name}: {heard.equal} of {heard.repeated} questions that were put several times at a temperature above 0 got"
        " answers equal byte by byte; the model or its server ignores temperature or seed, so their agreement tells"
        " nothing"
    )


def figure_lines(found: Mapping[str, Any]) -> list[str]:
    """The figures as text; `found` has the rows as `templates`, `canaries` and `people`."""
    lines: list[str] = []
    if found["templates"]:
        lines += ["", f"{'answers to':<34}" + _columns("asked", "unread", "conflict", "repaired", "agreement", "alpha")]
    for row in found["templates"]:
        figures = [row[key] for key in ("asked", "unread", "conflict", "repaired", "agreement", "alpha")]
        lines.append(f"{row['stage'] + ', ' + row['template']:<34}" + _columns(*figures))
        lines += [f"{'':<6}{n} unread: {reason}" for reason, n in row["unread_by"].items()]
        lines += [f"{'':<6}{n} without an answer: {error}" for error, n in row["failed"].items()]
        lines += [f"{'':<6}{n} read, but not true: {reason}" for reason, n in row["departed"].items()]
        lines += [f"{'':<6}{row['unsound']} do not follow from what they observed"] if row["unsound"] else []
        lines += [f"{'':<6}{bent}"] if (bent := bent_text(row)) else []
    lines += [f"warning: {row['warning']}" for row in found["templates"] if row["warning"]]
    if found["canaries"]:
        lines += ["", "questions of known truth among them      right (95% interval)        named"]
    for row in found["canaries"]:
        kind = f"{row['stage']}, {row['kind']}" + (" changed" if row["named"] else "")
        lines.append(f"{kind:<41}{share_text(row['right']):<28}{share_text(row['named'])}")
    if found["people"]:
        lines += ["", "samples that people decided about        accepted"]
    lines += [f"{kind:<41}{share_text(share)}" for kind, share in found["people"].items()]
    return lines


def bent_text(row: Mapping[str, Any]) -> str:
    """What was bent to read a template's answers, "" where nothing was: "12 bent to be read: 7 fence, 5 prose"."""
    kinds = ", ".join(f"{n} {kind}" for kind, n in row["bends"].items())
    return f"{row['bent']} bent to be read: {kinds}" if kinds else ""


def share_text(found: Mapping[str, Any] | None) -> str:
    """A share as `Share.to_dict` has it, in words; "" where there were no cases."""
    if found is None or found["n"] == 0:
        return ""
    return f"{found['share']:.2f} ({found['low']:.2f}–{found['high']:.2f}) of {found['n']}"


def _columns(*values: str | float | int | None) -> str:
    texts = ("" if v is None else f"{v:.2f}" if isinstance(v, float) else str(v) for v in values)
    return "".join(f"{text:>10}" for text in texts)
