"""Builds a corpus with strangers: `python -m benchmarks.strangers.run OUT [--bad pictures|refusals|cut --after N]`.

The server answers in all usual forms by turns. With --bad it turns bad after N questions: it answers for the picture
before, it refuses, or its answers are cut; the build must then stop and say why.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from benchmarks.strangers.scenes import ROOT, prompts
from benchmarks.strangers.server import Stranger
from benchmarks.strangers.truth import wrong_samples
from tests.answer_forms import FORMS
from tests.fake_endpoint import serving

HERE = Path(__file__).parent


def main() -> int:
    """Run `underpaint build` against the server, then say how often each template was asked. Returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--bad", choices=("pictures", "refusals", "cut"))
    parser.add_argument("--after", type=int, default=300)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "prompts.txt").write_text("\n".join(prompts()) + "\n", "utf-8")
    stranger = Stranger(0.35, FORMS, bad=options.bad, after=options.after)
    lock = threading.Lock()

    def answer(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with lock:  # forms by turns
            text, reason = stranger.answer(body)
        return 200, {"choices": [{"finish_reason": reason, "message": {"role": "assistant", "content": text}}]}

    with serving(answer) as server:
        recipe = options.out / "recipe.yaml"
        text = (HERE / "recipe.yaml").read_text("utf-8").replace("http://127.0.0.1:1/v1", server.url)
        recipe.write_text(text.replace("../../recipes/", f"{ROOT}/recipes/"), "utf-8")
        command = [sys.executable, "-m", "underpaint", "build", str(recipe), "--out", str(options.out / "run")]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    for task, times in stranger.asked.most_common():
        print(f"  {task:<40}{times}")
    if done.returncode == 0:
        number, wrong = wrong_samples(options.out / "run" / "corpus")
        print(f"{number} samples held against the truth, {len(wrong)} faults", *wrong, sep="\n  ")
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
