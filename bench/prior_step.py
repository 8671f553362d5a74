"""Milliseconds of a training step of the prior `transformer`: our loop, a plain one, and a plain one of transformers'.

The plain loops draw a batch, compute the loss and its gradient, clip and step, with the same weights and optimiser.

Usage: python bench/prior_step.py [--layers N] [--width N] [--heads N] [--codes N] [--batch N] [--length N] [--steps N]
       [--rounds N] [--threads N] [--json]
"""

import argparse
import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from llama import llama_ids, llama_of, with_random_head
from side_by_side import keep, options, ratio, seconds, show, spread
from torch import Tensor, nn
from torch.nn import functional

import crtcore
from crt_run.likelihood import nats
from crt_run.runs.run import Stage
from crt_run.training.losses import Loss
from crt_run.training.order import batch_at, step_noise
from crt_run.training.trainer import Part, Trainer
from crtcore import Noise, Optimizer, Training

SAMPLES, CLASSES = 4_096, 10
PEERS = ("plain loop", "transformers, plain loop")


def main() -> None:
    arguments = options(
        "A training step of the prior beside plain loops.",
        layers=4, width=128, heads=4, codes=512, batch=64, length=64, steps=5,
    )  # fmt: skip
    torch.manual_seed(0)
    spec = crtcore.discover().find("prior", "transformer").spec(
        layers=arguments.layers, width=arguments.width, heads=arguments.heads
    )  # fmt: skip
    prior = with_random_head(spec.build(arguments.codes, arguments.length, CLASSES))
    ids, classes = torch.randint(arguments.codes, (SAMPLES, arguments.length)), torch.randint(CLASSES, (SAMPLES,))
    same, llama = copy.deepcopy(prior), llama_of(prior).train()
    arms = {
        "ours": ours(prior, ids, classes, arguments),
        PEERS[0]: plain(same, lambda rows: same(ids[rows], classes[rows]), ids, arguments),
        PEERS[1]: plain(llama, lambda rows: llama(llama_ids(same, ids[rows], classes[rows])).logits, ids, arguments),
    }
    taken = seconds({name: repeated(step, arguments.steps) for name, step in arms.items()}, arguments.rounds)
    report(arguments, {name: [each / arguments.steps * 1e3 for each in times] for name, times in taken.items()})


def repeated(step: Callable[[], None], times: int) -> Callable[[], None]:
    def act() -> None:
        for _ in range(times):
            step()

    return act


def ours(prior: nn.Module, ids: Tensor, classes: Tensor, arguments: argparse.Namespace) -> Callable[[], None]:
    """A step of the second stage of the experiment `two-stage`."""
    training = Training(steps=10**6, batch=arguments.batch)
    run: Any = None  # not used in a step
    stage = Stage(run, "prior", Path(tempfile.gettempdir()))
    trainer = Trainer(stage, {"prior": Part(prior, Optimizer())}, training, validated=False)
    noise = Noise(0, "order of batches")

    def objective(step: int, progress: float) -> Loss:
        rows = batch_at(noise, SAMPLES, arguments.batch, step)
        own = step_noise(0, "prior", step, len(rows), ids.device)
        return Loss(nats(prior, ids[rows], classes[rows], noise=own).mean(), {})

    return lambda: trainer.advance(objective) and None


def plain(
    model: nn.Module, logits: Callable[[Tensor], Tensor], ids: Tensor, arguments: argparse.Namespace
) -> Callable[[], None]:
    settings = Optimizer()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay, fused=True,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        rows = torch.randint(SAMPLES, (arguments.batch,), generator=generator)
        loss = functional.cross_entropy(logits(rows)[:, :-1].flatten(0, 1), ids[rows].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()

    return step


def report(arguments: argparse.Namespace, taken: dict[str, list[float]]) -> None:
    print(
        f"torch {torch.__version__}, {arguments.threads} threads, {arguments.layers} layers of {arguments.width}, "
        f"{arguments.heads} heads, {arguments.codes} codes, batch {arguments.batch} of {arguments.length} ids"
    )
    print(f"medians (least to most) of {arguments.rounds} rounds of {arguments.steps} steps")
    ratios = {name: ratio(taken[name], taken["ours"]) for name in taken}
    show(
        ("", "ms a step", "its time / ours"),
        [(name, f"{spread(times):.1f}", f"{ratios[name]:.3f}") for name, times in taken.items()],
    )
    numbers = {
        name: getattr(arguments, name) for name in ("layers", "width", "heads", "codes", "batch", "length", "steps")
    }
    times = {f"{name}, milliseconds": spread(values) for name, values in taken.items()}
    keep(
        "prior_step", ["transformers"], numbers | times | {f"{name} / ours": ratios[name] for name in PEERS}, arguments
    )


if __name__ == "__main__":
    main()
