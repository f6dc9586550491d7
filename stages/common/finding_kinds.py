"""What each kind of finding means, in words for a judge; templates have them as `picture_kinds` and `text_kinds`."""

from __future__ import annotations

from collections.abc import Mapping

from underpaint.schemas.scenes.compare import FaultKind

OF_PICTURES: Mapping[FaultKind, str] = {
    FaultKind.WRONG_ATTRIBUTE: "an object is there, but its colour, material, size or place is not the described one",
    FaultKind.WRONG_RELATION: "two objects do not stand to each other as described, e.g. left and right are swapped",
    FaultKind.WRONG_COUNT: "there are more or fewer of an object than described",
    FaultKind.WRONG_BACKGROUND: "the background is not the described one",
    FaultKind.UNWANTED_OBJECT: "an object is there that the description does not name",
    FaultKind.MISSING_OBJECT: "an object that the description names is not there",
    FaultKind.MISSING_DETAIL: "another thing that the description names is not there, and no kind above fits",
}
NOT_YET = "never a fault of a step's text, as a later step may add it; do not use it here"
OF_TEXTS: Mapping[FaultKind, str] = {
    FaultKind.WRONG_ATTRIBUTE: "an object gets another colour, material, size or place than the prompt gives it",
    FaultKind.WRONG_RELATION: "two objects stand to each other otherwise than the prompt says",
    FaultKind.WRONG_COUNT: "the number of an object is not the prompt's",
    FaultKind.WRONG_BACKGROUND: "the background is not the prompt's",
    FaultKind.UNWANTED_OBJECT: "an object is painted that the prompt does not ask for",
    FaultKind.MISSING_OBJECT: NOT_YET,
    FaultKind.MISSING_DETAIL: NOT_YET,
}


def as_list(kinds: Mapping[FaultKind, str]) -> str:
    """One line a kind: ``- "wrong_count": there are more or fewer of an object than described``."""
    return "\n".join(f'- "{kind}": {meaning}' for kind, meaning in kinds.items())
