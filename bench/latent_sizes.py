"""How well chains of thought in text do by steps of training, on seeds that no study has.

The last row alone is that of a training of so many steps, as the step size falls to 0 in each.

It prices and sizes `specs/figures/latent-cot.toml`: batches of 32, two layers of width 64, a step size of 3e-3, as
there; 300 problems of the validation split at each row. The problems are those of the studies, whose test split is not
read; the seed is that of the model and of its batches. Seconds are of processor time, of the training alone, on one
thread.

Usage: python bench/latent_sizes.py SEED STEPS EVERY DATASET [FIELD=VALUE ...], such as
100 1000 500 affine-chain modulus=11 steps=4 verbosity=2 train=500
"""

from __future__ import annotations

import sys
import time
from typing import Any

import torch

from crt_latent.reasoning.answers import Solver
from crt_latent.reasoning.evaluation import FREE, evaluated
from crt_latent.traces import split_trace
from crt_run.training.objective import Inputs, built
from crt_run.training.trainer import Trainer
from crtcore import discover
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.kinds import Plan

PROBLEMS = 300


class Blank:
    """What a stage needs of a run that keeps nothing."""

    name, device = "sizes", torch.device("cpu")


def value(text: str) -> int | str:
    """A field's value."""
    return int(text) if text.isdigit() else text


def plan(seed: int, dataset: dict[str, Any], **sections: dict[str, Any]) -> Plan:
    """The plan of a study of latent reasoning, with such sections in place of those of the chain of thought."""
    document = {
        "name": "sizes", "seed": seed, "experiment": {"use": "latent-reasoning", "trace": "cot"},
        "dataset": {**dataset, "validation": PROBLEMS},
        "tokenizer": {"use": "text-chunks", "chunk": 8, "rate": 8}, "bottleneck": {"use": "vq", "codes": 64},
        "prior": {"use": "transformer", "layers": 2, "width": 64, "heads": 4}, "decoder": {"use": "ancestral"},
        "sampling": {"temperature": 0.0}, **sections,
    }  # fmt: skip
    (point,) = study(Document(document, {}), discover()).points
    return point.plan


def of_prior(steps: int) -> dict[str, Any]:
    """The training of a prior; its tokenizer is not trained."""
    prior = {"steps": steps, "batch": 32, "optimizer": {"learning_rate": 3e-3}}
    return {"prior": prior, "tokenizer": {"steps": 1, "batch": 2}}


def main(seed: int, steps: int, every: int, dataset: dict[str, Any]) -> None:
    """Trains, and prints a row now and then."""
    torch.set_num_threads(1)
    one = plan(seed, dataset, training=of_prior(steps))
    data, (stage,) = one.parts["dataset"].build(), one.stages
    blank: Any = Blank()
    inputs = Inputs(stage, data, {"tokenizer": None}, blank)
    objective, form = built(inputs), inputs.material.form
    trainer = Trainer(blank, objective.parts, stage.training, validated=False)
    prior, taken = trainer.main, 0.0
    trace = split_trace(data.take("validation", torch.arange(PROBLEMS)).data, form.alphabet.text)
    decoder = one.parts["decoder"].build()
    solver = Solver(prior, decoder, one.sampling, form.alphabet, max_ids=form.width, max_codes=8, seed=0)  # type: ignore[arg-type]
    print(f"{' '.join(sys.argv[4:])}, seed {seed}\n{'steps':>6}{'accuracy':>10}{'seconds':>9}")
    while trainer.step < steps:
        began = time.process_time()
        trainer.advance(objective.loss)
        taken += time.process_time() - began
        if trainer.step % every == 0:
            with torch.inference_mode():
                answers = evaluated(solver, form, trace, blank.device)[FREE]
            solved = data.check(trace.prompt, answers.ids) & answers.ended
            print(f"{trainer.step:6}{float(solved.double().mean()):10.3f}{taken:9.1f}", flush=True)


if __name__ == "__main__":
    fields = dict(each.split("=", 1) for each in sys.argv[5:])
    numbers = (int(each) for each in sys.argv[1:4])
    main(*numbers, {"use": sys.argv[4], **{name: value(each) for name, each in fields.items()}})
