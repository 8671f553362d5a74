"""Greedy answers a second to test problems of latent reasoning: with packed weights, as in the study, and without.

A prior of two layers of width 64 learns chains of thought of eight operations first, so that answers end. Both ways
must give the same ids.

Usage: python bench/latent_answers.py [--problems N] [--steps N] [--rounds N] [--threads N] [--json]
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import torch
from latent_sizes import Blank, of_prior, plan
from side_by_side import keep, options, ratio, seconds, show, spread
from torch import Tensor

from crt_latent.reasoning.answers import Solver
from crt_latent.reasoning.evaluation import FREE, evaluated
from crt_latent.traces import split_trace
from crt_nn.packed import pack
from crt_run.training.objective import Inputs, built
from crt_run.training.trainer import Trainer

TASK = {"use": "affine-chain", "modulus": 5, "steps": 8, "verbosity": 2}


def main() -> None:
    arguments = options("Answers to test problems, packed and plain.", problems=1000, steps=300)
    ways = answering(arguments.problems, arguments.steps)
    ids = [answers() for answers in ways.values()]
    if not torch.equal(*ids):
        raise SystemExit("packed weights changed an answer")
    taken = seconds(ways, arguments.rounds, time.process_time)
    rates = {name: spread([arguments.problems / each for each in times]) for name, times in taken.items()}
    gain = ratio(taken["plain"], taken["packed"])
    show(
        ["answers", "problems a second", "over plain"],
        [["plain", f"{rates['plain']:.0f}", "1"], ["packed", f"{rates['packed']:.0f}", f"{gain:.2f}"]],
    )
    numbers = rates | {
        "gain": gain,
        "mean_ids": float((ids[0] >= 0).sum(1).double().mean()),
    }
    keep("latent_answers", [], numbers, arguments)


def answering(problems: int, steps: int) -> dict[str, Callable[[], Tensor]]:
    """The ids of all answers of a prior that has learned for so many steps, each way."""
    one = plan(100, TASK | {"test": problems}, training=of_prior(steps))
    data, (stage,) = one.parts["dataset"].build(), one.stages
    blank: Any = Blank()
    inputs = Inputs(stage, data, {"tokenizer": None}, blank)
    objective, form = built(inputs), inputs.material.form
    trainer = Trainer(blank, objective.parts, stage.training, validated=False)
    while trainer.step < steps:
        trainer.advance(objective.loss)
    trace = split_trace(data.take("test", torch.arange(problems)).data, form.alphabet.text)
    plain = trainer.main.requires_grad_(False)
    packed = copy.deepcopy(plain)
    print(pack(packed))

    def way(prior: Any) -> Callable[[], Tensor]:
        solver = Solver(
            prior, one.parts["decoder"].build(), one.sampling, form.alphabet, max_ids=form.width, max_codes=8, seed=0
        )

        @torch.inference_mode()
        def answers() -> Tensor:
            return evaluated(solver, form, trace, blank.device)[FREE].ids

        return answers

    return {"plain": way(plain), "packed": way(packed)}


if __name__ == "__main__":
    main()
