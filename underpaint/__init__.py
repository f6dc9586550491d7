"""underpaint builds the training corpus for process-driven image generation: plan, sketch, inspect, refine.

`underpaint.schemas` is what readers of shards need, `underpaint.pipeline.training` what trainers load. In a checkout
the packages lie beside this folder, which `__path__` says; an installed wheel has them inside it.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
if not (_HERE / "schemas").is_dir():
    __path__.append(str(_HERE.parent))
