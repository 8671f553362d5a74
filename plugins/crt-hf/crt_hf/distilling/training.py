"""Trains a draft until its time is over; a killed training goes on from its last checkpoint.

Axes: s ids of all texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crt_ar.llama.network import LlamaTransformer
from crt_hf.distilling.budget import Clock, Watch
from crt_hf.distilling.lessons import Lessons
from crt_hf.distilling.student import loss
from crt_run.runs import checkpoint
from crtcore.errors import RunError

WINDOWS, WIDTH = 4, 256
"""Windows of a step, and their ids."""
EVERY = 15.0
"""Seconds between checkpoints."""
WARMUP = 0.03
"""Share of the time in which the learning rate rises."""
Progress = Callable[[str, float, str], None]
"""Is called with a phase, how much of its time is over (0 to 1), and a line about it."""


class Trainer:
    """A draft in training, and all that its next step depends on."""

    def __init__(self, draft: LlamaTransformer, rate: float, seed: int) -> None:
        self.draft, self.rate, self.seed = draft, rate, seed
        self.step = 0
        vectors = [each for each in draft.parameters() if each.ndim < 2]
        others = [each for each in draft.parameters() if each.ndim >= 2]
        groups = [{"params": others, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)

    def advance(self, lessons: Lessons, over: float) -> float:
        """Takes a step on windows that the seed and the step choose, and returns the loss before it.

        Raises: RunError if the loss is not finite, before any weight changes.
        """
        width = min(WIDTH, len(lessons.ids))
        draw = torch.Generator().manual_seed(self.seed * 2**32 + self.step)
        starts = torch.randint(len(lessons.ids) - width + 1, (WINDOWS,), generator=draw).tolist()
        device = self.draft.embedding.weight.device
        windows = Lessons(*(each.to(device) for each in lessons.window(starts, width)))
        value = loss(self.draft, windows)
        if not math.isfinite(float(value.detach())):
            raise RunError(f"distill: the loss is {float(value.detach())} at step {self.step + 1}; try another --seed")
        self.optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * factor(over)
        nn.utils.clip_grad_norm_(self.draft.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return float(value.detach())

    def tensors(self) -> dict[str, Tensor]:
        """Returns the weights and what the optimiser keeps."""
        weights = {f"weight.{name}": each for name, each in self.draft.state_dict().items()}
        kept = self.optimizer.state_dict()["state"]
        return weights | {f"kept.{place}.{name}": x for place, own in kept.items() for name, x in own.items()}

    def restore(self, saved: checkpoint.Saved) -> None:
        """Loads what `tensors` returned."""
        self.step = saved.state["step"]
        self.draft.load_state_dict(_under(saved.tensors, "weight."))
        kept: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(saved.tensors, "kept.").items():
            place, slot = name.split(".", 1)
            kept.setdefault(int(place), {})[slot] = tensor.clone()  # the optimiser writes into it
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": kept})


def train(
    trainer: Trainer, lessons: Lessons, folder: Path, *, seconds: float, progress: Progress, clock: Clock
) -> float:
    """Trains for so many seconds, those of earlier processes counted, and returns the last step's loss.

    At least one step is taken. `folder` has the checkpoints, of which the last stays.
    Raises: RunError as a step does; CheckpointError if the last checkpoint is damaged.
    """
    saved, last = _latest(folder), math.nan
    if saved is not None:
        trainer.restore(saved)
        last = saved.state["loss"] if trainer.step else last
    kept = saved.state["seconds"] if saved is not None else 0.0
    watch = Watch(kept, clock)
    if saved is None:
        _save(folder, trainer, {"seconds": kept, "loss": None})
    progress("training", 0.0, f"{len(lessons.ids):,} ids of texts, from step {trainer.step} on")
    while (used := watch.used) < seconds or not trainer.step:
        over = min(used / seconds, 1.0) if seconds > 0 else 1.0
        last = trainer.advance(lessons, over)
        progress("training", over, f"step {trainer.step}, loss {last:.3f}")
        if used - kept >= EVERY:
            _save(folder, trainer, {"seconds": watch.used, "loss": last})
            kept = used
    _save(folder, trainer, {"seconds": watch.used, "loss": last})
    return last


def factor(over: float) -> float:
    """Returns the learning rate as a share of the highest: it rises, then falls as a cosine."""
    if over < WARMUP:
        return max(over / WARMUP, 0.02)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (over - WARMUP) / (1 - WARMUP)))


def begun(folder: Path) -> bool:
    """Whether a draft is in training there."""
    return _latest_path(folder) is not None


def _save(folder: Path, trainer: Trainer, state: dict[str, Any]) -> None:
    path = folder / f"step-{trainer.step:08}"
    if not checkpoint.committed(path):
        checkpoint.save(path, trainer.tensors(), {"step": trainer.step, **state})
    for other in folder.glob("step-*"):
        if other != path:
            checkpoint.remove(other)


def _latest(folder: Path) -> checkpoint.Saved | None:
    path = _latest_path(folder)
    return None if path is None else checkpoint.load(path)


def _latest_path(folder: Path) -> Path | None:
    return max((path for path in folder.glob("step-*") if checkpoint.committed(path)), default=None)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}
