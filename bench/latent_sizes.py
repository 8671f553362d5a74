"""How well chains of thought in text do by steps of training, on seeds that no study has.

The last row alone is that of a training of so many steps, as the step size falls to 0 in each.

It prices and sizes `specs/figures/latent-cot.toml` and its like: batches of 32, two layers of width 64, a step size of
3e-3, unless fields that begin with `prior.` and `optimizer.` say otherwise; 300 problems of the validation split at
each row. The problems are those of the studies, whose test split is not read; the seed is that of the model and of its
batches. Seconds are of processor time, of the training alone, on one thread.

Usage: python bench/latent_sizes.py SEED STEPS EVERY DATASET [FIELD=VALUE ...], such as
100 1000 500 affine-chain modulus=11 steps=4 verbosity=2 train=500
100 3000 1000 graph nodes=6 hops=2 train=100000 prior.layers=4 optimizer.learning_rate=1e-3 optimizer.warmup=0.1
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
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
PRIOR = {"use": "transformer", "layers": 2, "width": 64, "heads": 4}
OPTIMIZER = {"learning_rate": 3e-3}


class Blank:
    """What a stage needs of a run that keeps nothing."""

    name, device = "sizes", torch.device("cpu")


def value(text: str) -> int | float | str:
    """A field's value."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def sections(words: Sequence[str], *others: str) -> dict[str, dict[str, Any]]:
    """Fields of the dataset, and of other sections, from words such as `steps=4` and `prior.layers=4`."""
    parts: dict[str, dict[str, Any]] = {"dataset": {}, **{name: {} for name in others}}
    for word in words:
        name, _, text = word.partition("=")
        section, _, field = name.rpartition(".")
        if (section or "dataset") not in parts:
            sys.exit(f"expected a field of the dataset{''.join(f' or of {each}' for each in others)}, got {word!r}")
        parts[section or "dataset"][field] = value(text)
    return parts


def plan(seed: int, dataset: dict[str, Any], **others: dict[str, Any]) -> Plan:
    """The plan of a study of latent reasoning, with such sections in place of those of the chain of thought."""
    document = {
        "name": "sizes", "seed": seed, "experiment": {"use": "latent-reasoning", "trace": "cot"},
        "dataset": {**dataset, "validation": PROBLEMS},
        "tokenizer": {"use": "text-chunks", "chunk": 8, "rate": 8}, "bottleneck": {"use": "vq", "codes": 64},
        "prior": PRIOR, "decoder": {"use": "ancestral"},
        "sampling": {"temperature": 0.0}, **others,
    }  # fmt: skip
    (point,) = study(Document(document, {}), discover()).points
    return point.plan


def of_prior(steps: int, optimizer: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The training of a prior; its tokenizer is not trained."""
    prior = {"steps": steps, "batch": 32, "optimizer": {**OPTIMIZER, **optimizer}}
    return {"prior": prior, "tokenizer": {"steps": 1, "batch": 2}}


def main(seed: int, steps: int, every: int, parts: dict[str, dict[str, Any]]) -> None:
    """Trains, and prints a row now and then."""
    torch.set_num_threads(1)
    training = of_prior(steps, parts["optimizer"])
    one = plan(seed, parts["dataset"], prior={**PRIOR, **parts["prior"]}, training=training)
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
    main(
        int(sys.argv[1]),
        int(sys.argv[2]),
        int(sys.argv[3]),
        sections([f"use={sys.argv[4]}", *sys.argv[5:]], "prior", "optimizer"),
    )
