"""Lets torchvision import beside a CPU build of torch that its compiled operators were not built for.

open_clip and transformers use torchvision's Python transforms only. Where its operator library does not load,
torchvision fails on registering two operators that nobody here calls, so they are declared first.
"""

from __future__ import annotations

import torch

try:
    import torchvision
except RuntimeError:
    _operators = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _operators.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401
