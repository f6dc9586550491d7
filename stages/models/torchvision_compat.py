"""Lets torchvision be imported with a build of torch for which its compiled operators were not built.

open_clip and transformers use only torchvision's Python transforms. If its operator library does not load, torchvision
fails when it registers two operators that nothing here calls. So these two are declared first.
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
