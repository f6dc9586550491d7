"""The symbolic judge: where the scenes are known, it writes the critique that is right by construction.

Judges are trained and calibrated on these critiques; they are also the paper's symbolic baseline. `picture` and `text`
judge one side each; `picture_correction` and `text_correction` write the instruction that mends it.
"""

from underpaint.schemas.scenes.inspection.picture import inspect_picture, observed_scene, picture_faults
from underpaint.schemas.scenes.inspection.reach import why_stuck
from underpaint.schemas.scenes.inspection.text import inspect_text
from underpaint.schemas.scenes.inspection.text_correction import DEAD_END, LEAVE
from underpaint.schemas.scenes.inspection.weighing import AS_ASKED, NOT_ASKED, NOT_SO, NOT_THERE, TO_COME, seen_items

__all__ = [
    "AS_ASKED", "DEAD_END", "LEAVE", "NOT_ASKED", "NOT_SO", "NOT_THERE", "TO_COME", "inspect_picture", "inspect_text",
    "observed_scene", "picture_faults", "seen_items", "why_stuck",
]  # fmt: skip
