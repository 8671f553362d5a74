"""The training loop: a forward, a backward and a step for each part's optimiser; stops and resumes bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from crt_nn.ranks import Share
from crt_run.ranks.alone import Together
from crt_run.ranks.group import current
from crt_run.ranks.start import start_of
from crt_run.runs.checkpoint import Saved
from crt_run.training.layout import Layout, Whole, blocks
from crt_run.training.losses import Loss, feature_gradient_norms, without_graph
from crt_run.training.saving import Saving
from crt_run.training.shares import Shares
from crtcore.errors import RunError, Stopped
from crtcore.kinds import KeepsStatistics, Stage
from crtcore.settings import Optimizer, Training

READINGS = 50
"""How often a stage records its metrics."""


class Part(NamedTuple):
    """A module with its own optimiser."""

    module: nn.Module
    optimizer: Optimizer
    start: float = 0.0
    """Fraction of training before which it does not learn; the course of its step size covers the rest."""


class StepRange(NamedTuple):
    """The part of a training that a stage covers; by default the whole."""

    start: Saved | None = None
    """The last checkpoint of the range before; None: this range starts the training."""
    end: int | None = None
    """The step after which this range stops and saves what the next range resumes from; None: the last step."""


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
    """Trains the parts of a stage to the end of its step range, or loads them if that is done.

    `objective` takes the step and the progress (0 to 1). `validate` returns a score, lower is better; it is called
    `validations` times, and the first part ends with the weights of the lowest score.
    Raises: Stopped after a save, RunError if a loss is not finite or a checkpoint does not fit the parts.
    """
    group = current()
    if training.sharding == "full" and step_range != WHOLE:
        raise RunError(
            f"stage {stage.name!r}: it is trained in ranges of steps; set `sharding` of its training to 'none'"
        )
    saved, finished = start_of(stage, group, step_range.start)
    trainer = Trainer(stage, parts, training, validate is not None)
    if training.compile:
        trainer.main.compile()  # in place: what is saved has the same names
    trainer.start = step_range.start.state["step"] if step_range.start else 0
    if saved:
        try:
            trainer.restore(saved)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RunError(
                f"stage {stage.name!r}: the checkpoint does not fit this plan ({str(error).splitlines()[0]}); "
                f"delete the folder {stage.folder} and give the same command again, everything else is kept"
            ) from error
    end = training.steps if step_range.end is None else step_range.end
    while trainer.step < end:
        trainer.advance(objective)
        step = trainer.step
        if validate and _due(step, training.steps, validations):
            trainer.keep_if_best(validate())
        if _due(step, training.steps, READINGS):
            trainer.record()
        if step == end:
            break
        if (stopping := group.any(stage.run.stopping())) or trainer.saving.due(step):
            with trainer.saving.timed():
                trainer.save()
        if stopping:
            raise Stopped
    if not finished:
        trainer.finish() if step_range.end is None else trainer.save(final=True)
    trainer.layout.end(trainer.main)


def _due(step: int, steps: int, times: int) -> bool:
    """True at `times` evenly spread steps of the stage, including the last."""
    return step * times // steps > (step - 1) * times // steps


class Trainer:
    """The state of a stage in training."""

    def __init__(self, stage: Stage, parts: Mapping[str, Part], training: Training, validated: bool) -> None:
        self.stage = stage
        self.parts = parts
        self.training = training
        self.step = 0
        self.start = 0
        self.group = current()
        modules = {name: part.module for name, part in parts.items()}
        self.layout = _layout(stage.name, modules, training, self.group)
        ranks, in_parts = self.group.size, training.accumulate
        if training.batch < ranks * in_parts:
            raise RunError(
                f"stage {stage.name!r}: expected a batch of at least {ranks * in_parts} samples, one for each of "
                f"{ranks} rank(s) and each of {in_parts} part(s) of a step, got {training.batch}; "
                "set a larger `batch`, or take fewer ranks or parts"
            )
        self.shares = Shares(modules.values(), training.batch, training.accumulate, self.group, cut=self.layout.cut)
        self.saving = Saving(training.checkpoint, self.group)
        self.best: dict[str, Tensor] | None = None
        self.score = math.inf
        self.validated = validated
        self.parameters = {name: list(part.module.parameters()) for name, part in parts.items()}
        """Of each part: walking through its modules at each step takes longer than clipping them."""
        self.metrics: dict[str, float] = {}
        """What is recorded of the last step."""
        self.optimizers = {name: _adamw(part) for name, part in parts.items() if self.parameters[name]}

    @property
    def main(self) -> nn.Module:
        """The module of the first part, which is validated."""
        return next(iter(self.parts.values())).module

    def advance(self, objective: Callable[[int, float], Loss]) -> float:
        """Takes one step of every part, and returns the loss.

        Raises: RunError if the loss is not finite, before any weight changes.
        """
        progress, shares = self.step / self.training.steps, self.shares
        device = next((each.device.type for each in next(iter(self.parameters.values()))), "cpu")
        due = _due(self.step + 1, self.training.steps, READINGS)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        losses, at_features = [], []
        for place in range(len(shares.own)):
            with shares.at(place):
                with torch.autocast(device, torch.bfloat16, enabled=self.training.precision == "bfloat16"):
                    loss = shares.loss(place, objective, self.step, progress)
                watching: AbstractContextManager[dict[str, Tensor]] = nullcontext({})
                with feature_gradient_norms(loss) if due else watching as norms:
                    if loss.total.requires_grad:  # a stage may have nothing that learns
                        loss.total.backward()  # type: ignore[no-untyped-call]
            losses.append(without_graph(loss))
            at_features.append(dict(norms))
        total = shares.total([float(loss.total) for loss in losses])
        if not math.isfinite(total):
            raise RunError(
                f"stage {self.stage.name!r}: the loss is {total} at step {self.step + 1}; "
                f"a smaller optimizer.learning_rate may help"
            )
        whole: dict[str, Tensor] = {}
        for name, optimizer in self.optimizers.items():
            _, settings, start = self.parts[name]
            course = (progress + 1 / self.training.steps - start) / max(1 - start, 1e-9)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * lr_factor(settings, max(course, 0.0))
            norm = nn.utils.clip_grad_norm_(self.parameters[name], settings.clip)
            whole |= self.layout.gathered({name: norm}, keep=True)
            optimizer.step()
        encoded = [loss.encoded for loss in losses if loss.encoded is not None]
        if encoded and isinstance(self.main, KeepsStatistics):
            shares.statistics(self.main, encoded)
        self.step += 1
        if due:
            values = [{name: float(torch.as_tensor(each)) for name, each in loss.metrics.items()} for loss in losses]
            self.metrics = {"loss": total, **shares.mean(values)}
            self.metrics |= {f"gradient_norm.{name}": float(norm) for name, norm in whole.items()}
            own = [{name: float(norm) for name, norm in norms.items()} for norms in at_features]
            self.metrics |= {f"feature_gradient_norm.{name}": norm for name, norm in shares.norm(own).items()}
        return total

    def keep_if_best(self, score: float) -> None:
        """Records a validation score, the first rank's, and copies the main part's weights if it is the lowest."""
        score = float(self.group.of_first(repr(score).encode()))
        self.stage.record(self.step, self.training.steps, {"validation": score})
        if score < self.score:
            self.score = score
            self.best = {name: value.detach().clone() for name, value in self.layout.values(self.main).items()}

    def record(self) -> None:
        """Records the loss, metrics and gradient norms of the last step."""
        start = {"start": self.start} if self.start else {}
        self.stage.record(self.step, self.training.steps, {**self.metrics, **start})

    def save(self, *, final: bool = False) -> None:
        """Commits a checkpoint that holds everything the next step depends on."""
        tensors = self._modules() | self._moments()
        if self.best is not None:
            tensors |= {f"best.{name}": value for name, value in self.best.items()}
        score = None if self.best is None else self.score
        self._commit(tensors, score, final=final)

    def finish(self) -> None:
        """Commits the final weights: the best ones of the main part, the latest ones of the others."""
        if self.best is not None:
            self.layout.load(self.main, self.best)
        score = None if self.best is None else self.score
        self._commit(self._modules(), score, final=True)

    def _commit(self, tensors: Mapping[str, Tensor], score: float | None, *, final: bool) -> None:
        """Saves on the first rank; the others wait for it."""
        tensors = self.layout.gathered(tensors, keep=self.group.first)
        if self.group.first:
            self.stage.save(self.step, tensors, {"step": self.step, "score": score}, final=final)
        self.group.meet()

    def restore(self, saved: Saved) -> None:
        """Loads a checkpoint."""
        self.step = saved.state["step"]
        for name, part in self.parts.items():
            self.layout.load(part.module, _under(saved.tensors, f"part.{name}."))
        for name, optimizer in self.optimizers.items():
            slots: dict[int, dict[str, Tensor]] = {}
            own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            for key, value in _under(saved.tensors, f"optimizer.{name}.").items():
                index, slot = key.split(".", 1)
                mine = self.layout.own(value.clone(), own[int(index)])  # an optimiser writes into what it loads
                slots.setdefault(int(index), {})[slot] = mine
            optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
        if self.validated and saved.state["score"] is not None:
            self.score = saved.state["score"]
            own_values = self.layout.values(self.main)
            best = _under(saved.tensors, "best.")
            self.best = {name: self.layout.own(value, own_values[name]) for name, value in best.items()}

    def _modules(self) -> dict[str, Tensor]:
        return {
            f"part.{name}.{key}": value
            for name, part in self.parts.items()
            for key, value in self.layout.values(part.module).items()
        }

    def _moments(self) -> dict[str, Tensor]:
        return {
            f"optimizer.{name}.{index}.{slot}": value
            for name, optimizer in self.optimizers.items()
            for index, slots in optimizer.state_dict()["state"].items()
            for slot, value in slots.items()
        }


def _layout(name: str, modules: Mapping[str, nn.Module], training: Training, group: Together) -> Layout:
    """Where weights lie; that they can be cut is checked in one process, such as a rehearsal, too.

    Raises: RunError if they cannot.
    """
    if training.sharding == "none":
        return Whole()
    blocks(name, modules)
    if group.size == 1:
        return Whole()
    from crt_run.training.sharded import Sharded  # half a second

    return Sharded(name, modules, Share(group.rank, group.size, training.batch))


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _adamw(part: Part) -> torch.optim.AdamW:
    """AdamW with weight decay on parameters of two axes or more."""
    weights = [p for p in part.module.parameters() if p.ndim >= 2]
    others = [p for p in part.module.parameters() if p.ndim < 2]
    groups = [{"params": weights, "weight_decay": part.optimizer.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], betas=(part.optimizer.beta1, part.optimizer.beta2), fused=True
    )


def lr_factor(settings: Optimizer, progress: float) -> float:
    """The learning rate at `progress` (0 to 1), as a fraction of its peak."""
    if progress < settings.warmup:
        return progress / settings.warmup
    if settings.decay == "constant":
        return 1.0
    rest = (progress - settings.warmup) / max(1 - settings.warmup, 1e-9)
    return 0.5 * (1 + math.cos(math.pi * min(rest, 1.0)))
