"""Training: one optimiser per part, one forward, one backward, one step each; stops and resumes bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from crt_run.runs.checkpoint import Saved
from crt_run.training.losses import Loss, feature_gradient_norms
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Stage
from crtcore.settings import Optimizer, Training

READINGS = 50
"""Times the readings of a stage are recorded."""


class Part(NamedTuple):
    """Something that learns, under an optimiser of its own."""

    module: nn.Module
    optimizer: Optimizer


class StepRange(NamedTuple):
    """Which part of a training a stage is: by default, the whole."""

    start: Saved | None = None
    """What an earlier leg left behind; None: the training begins here."""
    end: int | None = None
    """The step it ends at, with all that another leg needs to go on from there; None: the last."""


WHOLE = StepRange()


def fit(
    stage: Stage,
    parts: Mapping[str, Part],
    training: Training,
    objective: Callable[[int, float], Loss],
    *,
    validate: Callable[[], float] | None = None,
    validations: int = 1,
    step_range: StepRange = WHOLE,
) -> None:
    """Trains the parts of a stage to the end of its leg, or loads them if that is done.

    `objective` takes the step and the progress (0 to 1). With a `validate`, a number to make small, taken `validations`
    times on the way, the first part ends as it was when that number was smallest.
    Raises: Stopped once it has saved, RunError if a loss is not finite.
    """
    trainer = Trainer(stage, parts, training, validate is not None)
    if training.compile:
        trainer.main.compile()  # in place: what is saved has the same names
    trainer.start = step_range.start.state["step"] if step_range.start else 0
    if saved := stage.latest() or step_range.start:
        try:
            trainer.restore(saved)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RunError(
                f"stage {stage.name!r}: what was saved fits no part of this plan ({str(error).splitlines()[0]}); "
                f"delete the folder {stage.folder} and give the same command again, everything else is kept"
            ) from error
    end = training.steps if step_range.end is None else step_range.end
    while trainer.step < end:
        loss = trainer.advance(objective)
        step = trainer.step
        if validate and _due(step, training.steps, validations):
            trainer.keep_if_best(validate())
        if _due(step, training.steps, READINGS):
            trainer.record(loss)
        if step == end:
            break
        if (stopping := stage.run.stopping()) or step % training.checkpoint == 0:
            trainer.save()
        if stopping:
            raise Stopped
    if not stage.finished:
        trainer.finish() if step_range.end is None else trainer.save(final=True)


def _due(step: int, steps: int, times: int) -> bool:
    """True at `times` steps spread over the stage, the last one among them."""
    return step * times // steps > (step - 1) * times // steps


class Trainer:
    """The state of a stage in training."""

    def __init__(self, stage: Stage, parts: Mapping[str, Part], training: Training, validated: bool) -> None:
        self.stage = stage
        self.parts = parts
        self.training = training
        self.step = 0
        self.start = 0
        self.best: dict[str, Tensor] | None = None
        self.score = math.inf
        self.validated = validated
        self.norms: dict[str, Tensor] = {}
        self.feature_gradient_norms: dict[str, Tensor] = {}
        self.optimizers = {
            name: _adamw(part) for name, part in parts.items() if any(True for _ in part.module.parameters())
        }

    @property
    def main(self) -> nn.Module:
        """The first part: the one that is judged."""
        return next(iter(self.parts.values())).module

    def advance(self, objective: Callable[[int, float], Loss]) -> Loss:
        """One step of every part.

        Raises: RunError if the loss is not finite, so that no checkpoint ever holds what comes of it.
        """
        progress = self.step / self.training.steps
        device = next((each.device.type for each in self.main.parameters()), "cpu")
        with torch.autocast(device, torch.bfloat16, enabled=self.training.precision == "bfloat16"):
            loss = objective(self.step, progress)
        if not math.isfinite(total := float(loss.total.detach())):
            raise RunError(
                f"stage {self.stage.name!r}: the loss is {total} at step {self.step + 1}; "
                f"a smaller optimizer.learning_rate may help"
            )
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        due = _due(self.step + 1, self.training.steps, READINGS)
        watching: AbstractContextManager[dict[str, Tensor]] = feature_gradient_norms(loss) if due else nullcontext({})
        with watching as self.feature_gradient_norms:
            if loss.total.requires_grad:  # a stage may have nothing that learns
                loss.total.backward()  # type: ignore[no-untyped-call]
        for name, optimizer in self.optimizers.items():
            settings = self.parts[name].optimizer
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * lr_factor(settings, progress + 1 / self.training.steps)
            self.norms[name] = nn.utils.clip_grad_norm_(self.parts[name].module.parameters(), settings.clip)
            optimizer.step()
        self.step += 1
        return loss

    def keep_if_best(self, score: float) -> None:
        """Keeps a copy of the main part if it never scored better."""
        self.stage.record(self.step, self.training.steps, {"validation": score})
        if score < self.score:
            self.score = score
            self.best = {name: value.detach().clone() for name, value in self.main.state_dict().items()}

    def record(self, loss: Loss) -> None:
        """Records the step's readings."""
        metrics = {name: float(torch.as_tensor(value).detach()) for name, value in loss.metrics.items()}
        norms = {f"gradient_norm.{name}": float(norm) for name, norm in self.norms.items()}
        norms |= {f"feature_gradient_norm.{name}": float(norm) for name, norm in self.feature_gradient_norms.items()}
        start = {"start": self.start} if self.start else {}
        told = {"loss": float(loss.total.detach()), **metrics, **norms, **start}
        self.stage.record(self.step, self.training.steps, told)

    def save(self, *, final: bool = False) -> None:
        """Commits a checkpoint from which the very next step can be taken."""
        tensors = self._modules() | self._moments()
        if self.best is not None:
            tensors |= {f"best.{name}": value for name, value in self.best.items()}
        score = None if self.best is None else self.score
        self.stage.save(self.step, tensors, {"step": self.step, "score": score}, final=final)

    def finish(self) -> None:
        """Commits the stage's outcome: the best main part, and the others as they are."""
        if self.best is not None:
            self.main.load_state_dict(self.best)
        score = None if self.best is None else self.score
        self.stage.save(self.step, self._modules(), {"step": self.step, "score": score}, final=True)

    def restore(self, saved: Saved) -> None:
        """Goes back to a checkpoint."""
        self.step = saved.state["step"]
        for name, part in self.parts.items():
            part.module.load_state_dict(_under(saved.tensors, f"part.{name}."))
        for name, optimizer in self.optimizers.items():
            slots: dict[int, dict[str, Tensor]] = {}
            for key, value in _under(saved.tensors, f"optimizer.{name}.").items():
                index, slot = key.split(".", 1)
                slots.setdefault(int(index), {})[slot] = value.clone()  # an optimiser writes into what it loads
            optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
        if self.validated and saved.state["score"] is not None:
            self.score = saved.state["score"]
            self.best = _under(saved.tensors, "best.")

    def _modules(self) -> dict[str, Tensor]:
        return {
            f"part.{name}.{key}": value
            for name, part in self.parts.items()
            for key, value in part.module.state_dict().items()
        }

    def _moments(self) -> dict[str, Tensor]:
        return {
            f"optimizer.{name}.{index}.{slot}": value
            for name, optimizer in self.optimizers.items()
            for index, slots in optimizer.state_dict()["state"].items()
            for slot, value in slots.items()
        }


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _adamw(part: Part) -> torch.optim.AdamW:
    """AdamW that decays what has two axes or more."""
    weights = [p for p in part.module.parameters() if p.ndim >= 2]
    others = [p for p in part.module.parameters() if p.ndim < 2]
    groups = [{"params": weights, "weight_decay": part.optimizer.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], betas=(part.optimizer.beta1, part.optimizer.beta2), fused=True
    )


def lr_factor(settings: Optimizer, progress: float) -> float:
    """The fraction of the peak step size."""
    if progress < settings.warmup:
        return progress / settings.warmup
    if settings.decay == "constant":
        return 1.0
    rest = (progress - settings.warmup) / max(1 - settings.warmup, 1e-9)
    return 0.5 * (1 + math.cos(math.pi * min(rest, 1.0)))
