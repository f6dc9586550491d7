"""What all trainers share: a timed loop, averaged weights, restart from disk, and the learning curve."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

WORK = Path("runs/train")  # training state; checkpoints go to miniature/checkpoints


class TrainingRun:
    """One training run in `runs/train/<name>`: weights, averaged weights, optimizer state and curve.

    The learning rate follows half a cosine over the given hours, after a short warm-up. A resumed run takes its weights
    and moments from disk and begins a new cosine.
    """

    def __init__(
        self, name: str, model: nn.Module, *, lr: float, hours: float, resume: bool, ema: float = 0.999,
        warmup: int = 100, end: float = 0.02, weight_decay: float = 0.01,
    ) -> None:  # fmt: skip
        self.folder = WORK / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model, self.lr, self.seconds, self.ema_rate, self.end = model, lr, hours * 3600, ema, end
        self.warmup = warmup
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=weight_decay)
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}
        self.step, self.samples, self.before = 0, 0, 0.0
        if resume and (self.folder / "state.safetensors").exists():
            self._restore()
        self.first = self.step
        self.start: float | None = None  # the clock starts at the first `over()`, when the data is ready

    @property
    def elapsed(self) -> float:
        """Seconds trained, including earlier sessions."""
        return self.before + self._clock()

    def _clock(self) -> float:
        return time.time() - self.start if self.start is not None else 0.0

    @property
    def share(self) -> float:
        """The share of the given hours that is over, in [0, 1]."""
        return min(1.0, self._clock() / self.seconds)

    def update(self, loss: Tensor, count: int, clip: float = 1.0) -> None:
        """Do the backward pass and one optimizer step at the scheduled rate, and update the running average."""
        rate = self.lr * (self.end + (1 - self.end) * 0.5 * (1 + math.cos(math.pi * self.share)))
        rate *= min(1.0, (self.step - self.first + 1) / self.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.optimizer.step()
        self.step += 1
        self.samples += count
        decay = min(self.ema_rate, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for k, v in self.model.state_dict().items():
                if v.dtype.is_floating_point:
                    self.average[k].lerp_(v, 1 - decay)
                else:
                    self.average[k].copy_(v)

    def over(self) -> bool:
        """Whether the given hours are over. The first call starts the clock."""
        self.start = self.start or time.time()
        return self.share >= 1

    def averaged(self, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Call `evaluate` while the model has the averaged weights."""
        own = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        self.model.eval()
        try:
            with torch.no_grad():
                return evaluate()
        finally:
            self.model.load_state_dict(own)
            self.model.train()

    def log(self, **figures: float) -> None:
        """Write one line of the learning curve to the screen and to curve.jsonl."""
        line = {
            "minutes": round(self.elapsed / 60, 1),
            "samples": self.samples,
            **{k: round(v, 4) for k, v in figures.items()},
        }
        print(json.dumps(line), flush=True)
        with (self.folder / "curve.jsonl").open("a") as f:
            f.write(json.dumps(line) + "\n")

    def report(self, loss: Tensor, evaluate: Callable[[], dict[str, float]], every: int) -> None:
        """After so many steps each, save the state and write a line of the learning curve, with what is evaluated."""
        if self.step % every == 0:
            self.save()
            self.log(loss=float(loss), **self.averaged(evaluate))

    def save(self) -> None:
        """Write the state from which `resume=True` goes on. If the process is killed, the former state stays whole."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for i, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{i}.{k}": torch.as_tensor(v) for k, v in state.items()}
        part = self.folder / "state.part"
        counts = {"step": str(self.step), "samples": str(self.samples), "seconds": str(self.elapsed)}
        save_file({k: v.clone().contiguous() for k, v in tensors.items()}, part, metadata=counts)
        part.replace(self.folder / "state.safetensors")

    def finish(self, evaluate: Callable[[], dict[str, float]]) -> None:
        """Save, log, and leave the averaged weights in the model."""
        self.save()
        self.log(**self.averaged(evaluate))
        self.model.load_state_dict(self.average)

    def _restore(self) -> None:
        from safetensors import safe_open

        file = self.folder / "state.safetensors"
        tensors = load_file(file)
        with safe_open(file, "pt") as f:
            counts = f.metadata()
        self.step, self.samples, self.before = int(counts["step"]), int(counts["samples"]), float(counts["seconds"])
        self.model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        self.average = {k[8:]: v for k, v in tensors.items() if k.startswith("average.")}
        adam: dict[int, dict[str, Tensor]] = {}
        for k, v in tensors.items():
            if k.startswith("adam."):
                _, i, field = k.split(".", 2)
                adam.setdefault(int(i), {})[field] = v
        self.optimizer.load_state_dict({"state": adam, "param_groups": self.optimizer.state_dict()["param_groups"]})
