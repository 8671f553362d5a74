"""Trains a draft until its time is over; a killed training goes on from its last checkpoint.

Axes: s ids of all texts.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crt_ar.llama.network import LlamaTransformer
from crt_hf.distilling import head_student
from crt_hf.distilling.budget import Clock, Watch
from crt_hf.distilling.lessons import Lessons, Row
from crt_hf.distilling.student import loss
from crt_hf.heads.network import Head
from crt_run.runs import checkpoint
from crtcore.errors import RunError

WINDOWS, WIDTH = 4, 256
"""Windows of a step, and their ids."""
EVERY = 15.0
"""Seconds between checkpoints."""
WARMUP = 0.03
"""Share of the time in which the learning rate rises."""
Learned = TypeVar("Learned", bound=nn.Module)
Taught = TypeVar("Taught")
Progress = Callable[[str, float, str], None]
"""Is called with a phase, how much of its time is over (0 to 1), and a line about it."""


class Trainer(abc.ABC, Generic[Learned, Taught]):
    """A draft in training, and all that its next step depends on."""

    def __init__(self, draft: Learned, rate: float, seed: int, slower: Mapping[str, float] | None = None) -> None:
        """`slower` has shares of the rate for parameters by name; those without gradients are not trained."""
        self.draft, self.rate, self.seed = draft, rate, seed
        self.step = 0
        self.weights = {name: each for name, each in draft.named_parameters() if each.requires_grad}
        shares = slower or {}
        groups = [
            {"params": own, "weight_decay": decay, "share": share}
            for share in sorted({1.0, *shares.values()}, reverse=True)
            for vectors, decay in ((False, 0.01), (True, 0.0))
            if (own := [x for name, x in self.weights.items()
                        if (x.ndim < 2) == vectors and shares.get(name, 1.0) == share])
        ]  # fmt: skip
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)

    @abc.abstractmethod
    def loss(self, lessons: Taught, draw: torch.Generator, over: float) -> Float[Tensor, ""]:
        """The loss on lessons that `draw` chooses, after a share of the time."""

    def advance(self, lessons: Taught, over: float) -> float:
        """Takes a step on lessons that the seed and the step choose, and returns the loss before it.

        Raises: RunError if the loss is not finite, before any weight changes.
        """
        value = self.loss(lessons, torch.Generator().manual_seed(self.seed * 2**32 + self.step), over)
        if not math.isfinite(float(value.detach())):
            raise RunError(f"distill: the loss is {float(value.detach())} at step {self.step + 1}; try another --seed")
        self.optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * group["share"] * factor(over)
        nn.utils.clip_grad_norm_(self.weights.values(), 1.0)
        self.optimizer.step()
        self.step += 1
        return float(value.detach())

    def tensors(self) -> dict[str, Tensor]:
        """Returns the weights and what the optimiser keeps."""
        weights = {f"weight.{name}": each.detach() for name, each in self.weights.items()}
        kept = self.optimizer.state_dict()["state"]
        return weights | {f"kept.{place}.{name}": x for place, own in kept.items() for name, x in own.items()}

    def restore(self, saved: checkpoint.Saved) -> None:
        """Loads what `tensors` returned."""
        self.step = saved.state["step"]
        known = _under(saved.tensors, "weight.")
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(known[name])
        kept: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(saved.tensors, "kept.").items():
            place, slot = name.split(".", 1)
            kept.setdefault(int(place), {})[slot] = tensor.clone()  # the optimiser writes into it
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": kept})


class ModelTrainer(Trainer[LlamaTransformer, Lessons]):
    """A small model in training, on windows of the texts."""

    def loss(self, lessons: Lessons, draw: torch.Generator, over: float) -> Float[Tensor, ""]:
        """The loss on some windows."""
        width = min(WIDTH, len(lessons.ids))
        starts = torch.randint(len(lessons.ids) - width + 1, (WINDOWS,), generator=draw).tolist()
        device = self.draft.embedding.weight.device
        return loss(self.draft, Lessons(*(each.to(device) for each in lessons.window(starts, width))))


class HeadTrainer(Trainer[Head, Sequence[Row]]):
    """A head in training, on whole texts."""

    def __init__(self, draft: Head, seed: int) -> None:
        super().__init__(draft, head_student.RATE, seed, {"head.weight": head_student.OUTPUT_RATE})

    def loss(self, lessons: Sequence[Row], draw: torch.Generator, over: float) -> Float[Tensor, ""]:
        """The loss on some texts."""
        chosen = torch.randint(len(lessons), (head_student.ROWS,), generator=draw).tolist()
        weight = self.draft.head.weight
        batch = head_student.batch_of([lessons[at] for at in chosen], weight.dtype, weight.device)
        return head_student.head_loss(self.draft, batch, 1 if over < head_student.DEEPER else 2)


def train(
    trainer: Trainer[Learned, Taught], lessons: Taught, folder: Path, *, seconds: float, progress: Progress,
    clock: Clock,
) -> float:  # fmt: skip
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
    progress("training", 0.0, f"from step {trainer.step} on")
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


def _save(folder: Path, trainer: Trainer[Any, Any], state: dict[str, Any]) -> None:
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
