"""How many ids of held-out steps codes restore, by the ids that a code stands for, on seeds that no study has.

It says which rates lose something before a study of latent reasoning runs: 250 steps of 64 rows, codes that begin as
clusters, as in `specs/figures/latent-cot.toml`; the problems are those of the studies, the held-out ones their
validation split. A chunk has as many ids as one code stands for, unless a rate comes with another number of ids.

Usage: python bench/latent_rates.py SEED CODES RATE[:CHUNK][,RATE[:CHUNK] ...] DATASET [FIELD=VALUE ...], such as
100 128 2:16,4:16,8:16,16,32 affine-chain modulus=11 steps=4 verbosity=2 train=500
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from latent_sizes import Blank, plan, sections

from crt_latent.reasoning.health import health
from crt_run.training.objective import Inputs, built
from crt_run.training.trainer import Trainer

STEPS = 250
TRAINING = {
    "tokenizer": {"steps": STEPS, "batch": 64, "optimizer": {"learning_rate": 3e-3}},
    "prior": {"steps": 1, "batch": 32},  # it is not trained
}


def main(seed: int, codes: int, rates: list[tuple[int, int]], dataset: dict[str, Any]) -> None:
    """Trains a tokenizer for each rate and number of ids of a chunk, and prints its row."""
    torch.set_num_threads(1)
    blank: Any = Blank()
    print(f"{' '.join(sys.argv[4:])}, seed {seed}, {codes} codes")
    print(f"{'rate':>6}{'chunk':>7}{'restored':>10}{'used':>6}{'perplexity':>12}")
    for rate, chunk in rates:
        one = plan(
            seed, dataset, experiment={"use": "latent-reasoning"}, training=TRAINING,
            tokenizer={"use": "text-chunks", "chunk": chunk, "rate": rate},
            bottleneck={"use": "vq", "codes": codes, "start": "k-means", "patience": 50},
        )  # fmt: skip
        data, (stage, _) = one.parts["dataset"].build(), one.stages
        objective = built(Inputs(stage, data, {}, blank))
        trainer = Trainer(blank, objective.parts, stage.training, validated=False)
        while trainer.step < STEPS:
            trainer.advance(objective.loss)
        numbers = {name: each.value for name, each in health(data, trainer.main.eval(), blank.device).items()}
        print(
            f"{rate:6}{chunk:7}{numbers['reconstruction_accuracy']:10.3f}{numbers['codes_used']:6.0f}"
            f"{numbers['code_perplexity']:12.1f}",
            flush=True,
        )


if __name__ == "__main__":
    pairs = [each.partition(":") for each in sys.argv[3].split(",")]
    rates = [(int(rate), int(chunk or rate)) for rate, _, chunk in pairs]
    main(int(sys.argv[1]), int(sys.argv[2]), rates, sections([f"use={sys.argv[4]}", *sys.argv[5:]])["dataset"])
