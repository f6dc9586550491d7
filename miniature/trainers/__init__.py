"""The trainers of the miniature checkpoints, one file per part."""

import underpaint.stages.models.torchvision_compat  # noqa: F401  (before anything imports torchvision)
