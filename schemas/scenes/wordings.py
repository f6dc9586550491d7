"""Several wordings of one instruction (the paper's "diverse instructions"), and how to undo them.

``Add a red car.``  ``Place a red car.``  ``Put in a red car.``
"""

from __future__ import annotations

import re

# The first of each row is the grammar's own wording; {0} and {1} are the parts that every wording keeps.
WORDINGS: tuple[tuple[str, ...], ...] = (
    ("Paint {0}.", "Draw {0}.", "Start with {0}."),
    ("Add {0}.", "Place {0}.", "Put in {0}."),
    ("Replace {0} with {1}.", "Swap {0} for {1}.", "Change {0} into {1}."),
    ("Remove {0}.", "Erase {0}.", "Take away {0}."),
    ("Move {0} to {1}.", "Shift {0} to {1}.", "Bring {0} to {1}."),
    ("Make {0}.", "Turn {0}."),
)


def _pattern(form: str) -> re.Pattern[str]:
    return re.compile(re.escape(form).replace(r"\{0\}", "(.+?)").replace(r"\{1\}", "(.+)"))


_OWN = [(_pattern(own), others) for own, *others in WORDINGS]
_OTHERS = [(_pattern(other), own) for own, *others in WORDINGS for other in others]


def reword(instruction: str, wording: int) -> str:
    """The instruction in wording number `wording`: 0 is the grammar's own; numbers beyond the last wrap around."""
    for pattern, others in _OWN:
        if match := pattern.fullmatch(instruction):
            forms = (None, *others)
            form = forms[wording % len(forms)]
            return form.format(*match.groups()) if form else instruction
    return instruction


def wordings(instruction: str) -> int:
    """How many wordings there are of an instruction in the grammar's own wording, that one included."""
    return next((1 + len(others) for pattern, others in _OWN if pattern.fullmatch(instruction)), 1)


def own_wording(instruction: str) -> str:
    """Turn an instruction that `reword` may have made back into the grammar's wording; leave other sentences alone."""
    for pattern, own in _OTHERS:
        if match := pattern.fullmatch(instruction.strip()):
            return own.format(*match.groups())
    return instruction
