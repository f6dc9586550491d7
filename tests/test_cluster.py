"""Ray's cluster launcher accepts ray_cluster.yaml: no work on the head, GPU workers that scale from none."""

from __future__ import annotations

import copy
from pathlib import Path

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parent.parent


def test_the_cluster_launcher_accepts_the_file() -> None:
    config = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())
    validate_config(prepare_config(copy.deepcopy(config)))
    head, worker = (config["available_node_types"][n] for n in ("cpu.head", "gpu.worker"))
    assert head["resources"] == {"CPU": 0} and worker["resources"]["GPU"] == 1
    assert worker["min_workers"] == 0 < worker["max_workers"] <= config["max_workers"]
