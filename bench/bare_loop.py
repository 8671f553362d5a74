"""A stage in the training loop of crt-run, in turns with a loop by hand: equal batches, and equal weights at the end.

The loop by hand has the forward, the loss, its gradient, the clipping, the learning rate and the optimiser, and nothing
else: no finiteness check, record, checkpoint or noise.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

import crtcore
from crt_run.runs.run import Run
from crt_run.training.losses import detached
from crt_run.training.objective import Inputs, built, trained
from crt_run.training.order import batch_at
from crt_run.training.stages import build_dataset
from crt_run.training.trainer import fit
from crtcore import Noise, Optimizer
from crtcore.compose.document import parse
from crtcore.compose.plan import study

SPEC = """
name = "overhead"
[experiment]
use = "two-stage"
[dataset]
use = "digits"
[tokenizer]
use = "conv"
channels = {channels}
[bottleneck]
use = "vq"
codes = 64
[prior]
use = "transformer"
layers = 1
width = {width}
heads = 4
[decoder]
use = "ancestral"
[training.tokenizer]
steps = {steps}
[training.prior]
steps = {steps}
"""


class Block(NamedTuple):
    """Seconds that a loop takes for a block of steps: elapsed, and of the processor."""

    elapsed: float
    used: float


class Turns(NamedTuple):
    """Blocks of both loops, in turns."""

    ours: list[Block]
    bare: list[Block]


class Clocks:
    """Lets the loop by hand take a block of steps after each block of the other one, and times both."""

    def __init__(self, step: Callable[[], None], block: int) -> None:
        self.step = step
        self.block = block
        self.taken = 0
        self.turns = Turns([], [])
        self.began = now()

    def __call__(self) -> bool:
        """Is called at the end of each step, as what asks whether to stop; never stops."""
        self.taken += 1
        if self.taken % self.block == 0:
            self.turns.ours.append(since(self.began))
            self.bare()
            self.began = now()
        return False

    def bare(self) -> None:
        """Takes a block of steps by hand."""
        began = now()
        for _ in range(self.block):
            self.step()
        self.turns.bare.append(since(began))


def now() -> Block:
    return Block(time.perf_counter(), time.process_time())


def since(began: Block) -> Block:
    return Block(*(there - here for there, here in zip(now(), began, strict=True)))


def in_turns(stage: str, folder: Path, *, steps: int, block: int, channels: int = 8, width: int = 32) -> Turns:
    """Trains the stage `tokenizer` or `prior` by both loops, in blocks of as many steps as lie between checkpoints.

    Raises: ValueError if the weights differ at the end.
    """
    text = SPEC.format(steps=steps, channels=channels, width=width)
    (point,) = study(parse(text, "overhead.toml"), crtcore.discover()).points
    clocks: list[Clocks] = []
    run = Run(point.plan, folder, stopping=lambda: bool(clocks) and clocks[0]())
    run.folder.mkdir(parents=True)
    dataset = build_dataset(point.plan, run)
    inputs = Inputs(point.plan.stages[0], dataset, run=run)
    if stage == "prior":
        few = study(parse(text.replace(f"steps = {steps}", "steps = 1"), "overhead.toml"), crtcore.discover())
        tokenizer = trained(Inputs(few.points[0].plan.stages[0], dataset, run=run))
        inputs = Inputs(point.plan.stages[1], dataset, {"tokenizer": tokenizer}, run)
    objective = built(inputs)
    part = objective.parts[stage]
    same = copy.deepcopy(part.module)
    training = inputs.stage.training
    loss = tokenizer_loss(same, dataset) if stage == "tokenizer" else prior_loss(same, inputs)
    size = dataset.sizes["train"]
    order = Noise(point.plan.seed, f"order of the {stage}'s batches")
    batches = [batch_at(order, size, training.batch, step) for step in range(steps)]
    with run.stage(inputs.stage) as opened:
        clocks.append(Clocks(by_hand(same, loss, batches, part.optimizer).__next__, block))
        fit(
            opened, {stage: part}, training, objective.loss
        )  # the last step, and the final weights, make the last block
        clocks[0].turns.ours.append(since(clocks[0].began))
    clocks[0].bare()
    if any(not torch.equal(one, other) for one, other in pairs(part.module, same)):
        raise ValueError(f"expected equal weights by both loops, got others of the {stage}")
    return clocks[0].turns


def pairs(one: nn.Module, other: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(one.state_dict().values(), other.state_dict().values(), strict=True)


def tokenizer_loss(model: Any, dataset: Any) -> Callable[[Tensor], Tensor]:
    whole = dataset.take("train", torch.arange(dataset.sizes["train"]))

    def loss(rows: Tensor) -> Tensor:
        encoded = model(whole.data[rows], whole.class_ids[rows])
        model.last = encoded
        total: Tensor = encoded.loss
        return total

    return loss


def prior_loss(model: nn.Module, inputs: Inputs) -> Callable[[Tensor], Tensor]:
    codes = inputs.codes("train")
    ids, classes = codes.ids.long(), codes.class_ids

    def loss(rows: Tensor) -> Tensor:
        wanted = functional.pad(ids[rows], (0, 1), value=-1)
        logits = model(ids[rows], None if classes is None else classes[rows]).flatten(0, 1)
        cost = functional.cross_entropy(logits, wanted.flatten(), ignore_index=-1, reduction="none").view_as(wanted)
        return cost.sum(1).mean()

    return loss


def by_hand(model: Any, loss: Callable[[Tensor], Tensor], batches: list[Tensor], settings: Optimizer) -> Iterator[None]:
    """Yields after each step."""
    groups = [[p for p in model.parameters() if p.ndim >= 2], [p for p in model.parameters() if p.ndim < 2]]
    optimizer = torch.optim.AdamW(
        [{"params": group, "weight_decay": 0.0} for group in groups if group],
        betas=(settings.beta1, settings.beta2), fused=True,
    )  # fmt: skip
    parameters, steps = list(model.parameters()), len(batches)
    warm = settings.warmup
    for step, rows in enumerate(batches):
        total = loss(rows)
        optimizer.zero_grad()
        total.backward()
        progress = step / steps + 1 / steps
        rest = min((progress - warm) / max(1 - warm, 1e-9), 1.0)
        factor = progress / warm if progress < warm else 0.5 * (1 + math.cos(math.pi * rest))
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * factor
        nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimizer.step()
        if hasattr(model, "after_step"):
            with torch.no_grad():
                model.after_step(detached(model.last))
        yield
    yield
