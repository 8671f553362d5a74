"""From the trials of a study to its points, power laws and savings, with bootstrap intervals.

Axes: b held-out samples, d feature width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_basics.metrics.frechet import frechet_distance
from crt_run.statistics import resampled
from crt_scaling.analysis import Spot, fitted, frontier, saving
from crt_scaling.spec import BASELINE, REGULARIZED
from crtcore.kinds import Findings, Measurement, Row
from crtcore.noise import Noise

RESAMPLES = 200
"""Bootstrap draws of an interval."""
LOSS, TOTAL, DISTANCE = "id_code_length_bits", "two_part_code_length_bits", "generation_frechet"
POINT = (LOSS, TOTAL, DISTANCE, "generation_kernel_distance")
"""Numbers of a trial."""
OWN = ("data_given_ids_bits", "reconstruction_frechet", "frechet_floor")
"""Numbers of a tokenizer."""
COMPARED = (TOTAL, DISTANCE)
"""Numbers that are comparable between the tokenizers; bits of ids are not, as the ids differ."""


class Trial(NamedTuple):
    """One prior after one length of training."""

    prior: int
    """Its index in the spec file."""
    parameters: int
    steps: int
    flops: int
    """Of its training, including the steps that it shares with other lengths."""
    numbers: Mapping[str, Measurement]
    """Results of the metrics."""
    ids: Float[Tensor, " b"]
    """Bits of each held-out sample's ids."""
    generated: Float[Tensor, "b d"]
    """Features of the draws."""


class Arm(NamedTuple):
    """A tokenizer, and the trials over its ids."""

    flops: int
    """Of the tokenizer's training, with its regularisers."""
    rest: Float[Tensor, " b"]
    """Bits of each held-out sample given its ids."""
    trials: Sequence[Trial]


Arms = Mapping[str, Arm]
Quantities = Mapping[str, Mapping[str, Sequence[float]]]
"""Quantity to tokenizer to the value of each trial."""


def findings(arms: Arms, real: Float[Tensor, "b d"], seed: int) -> Findings:
    """All numbers and rows, given the features `real` of the held-out data."""
    costs = [trial.flops for trial in arms[BASELINE].trials]
    noise = Noise(seed, "resamples of the scaling study")
    draws: list[dict[str, float]] = []
    for draw in range(RESAMPLES):
        rows, places = _draw(noise, len(real), 2 * draw), _draw(noise, len(costs), 2 * draw + 1).tolist()
        values = quantities(arms, real, rows)
        some = {name: {arm: [own[at] for at in places] for arm, own in of.items()} for name, of in values.items()}
        draws.append(analysed([costs[at] for at in places], some))
    whole = analysed(costs, quantities(arms, real, torch.arange(len(real))))
    numbers = {
        name: resampled(value, [draw.get(name) for draw in draws], unit(name), n=len(real))
        for name, value in whole.items()
    }
    own = {f"{name}_{arm}": number for arm, each in arms.items() for name, number in alone(each).items()}
    return Findings(own | numbers, [row for arm, each in arms.items() for row in rows_of(arm, each)])


def alone(arm: Arm) -> dict[str, Measurement]:
    """The numbers of a tokenizer alone."""
    spent = Measurement(float(arm.flops), "FLOPs", len(arm.rest))
    return {**{name: arm.trials[0].numbers[name] for name in OWN}, "stage_one_flops": spent}


def _draw(noise: Noise, count: int, index: int) -> Int[Tensor, " n"]:
    """`count` indices below `count`, drawn with replacement."""
    return noise.uniforms(torch.arange(count), index) * count >> 24


def quantities(arms: Arms, real: Float[Tensor, "b d"], rows: Int[Tensor, " b"]) -> Quantities:
    """The quantities to analyse, on the held-out samples `rows`."""
    measure: dict[str, Callable[[Arm, Trial], float]] = {
        LOSS: lambda arm, trial: float(trial.ids[rows].mean()),
        TOTAL: lambda arm, trial: float((trial.ids + arm.rest)[rows].mean()),
        DISTANCE: lambda arm, trial: frechet_distance(real[rows], trial.generated[rows]),
    }
    return {
        name: {arm: [of(each, trial) for trial in each.trials] for arm, each in arms.items()}
        for name, of in measure.items()
    }


def analysed(costs: Sequence[int], values: Quantities) -> dict[str, float]:
    """Exponent and limit of each frontier's power law, and the savings; omits what cannot be fitted or compared."""
    numbers: dict[str, float] = {}
    for name, of in values.items():
        short = name.removesuffix("_bits")
        edges = {arm: frontier(map(Spot, costs, own)) for arm, own in of.items()}
        for arm, edge in edges.items():
            if power_law := fitted(edge):
                numbers[f"{short}_exponent_{arm}"] = power_law.exponent
                numbers[f"{short}_limit_{arm}"] = power_law.limit
        if name in COMPARED:
            saved = saving(edges[REGULARIZED], edges[BASELINE])
            if saved:
                numbers[f"{short}_flops_ratio"] = saved.ratio
                numbers[f"{short}_flops_doublings"] = math.log2(saved.ratio)  # a mean of these over seeds is unbiased
            numbers[f"{short}_shared_range"] = saved.share if saved else 0.0
    return numbers


def unit(name: str) -> str:
    """The unit of an analysed number."""
    if "_limit_" in name:
        return "squared whitened units" if name.startswith(DISTANCE) else "bits"
    ends = {"_ratio": "times", "_doublings": "doublings", "_shared_range": "share of values"}
    return next((unit for end, unit in ends.items() if name.endswith(end)), "power of FLOPs")


def rows_of(name: str, arm: Arm) -> list[Row]:
    """A row for each trial, with the best numbers that trials of no more FLOPs reach."""
    rows = []
    for trial in arm.trials:
        affordable = [other.numbers for other in arm.trials if other.flops <= trial.flops]
        best = {
            f"best_{each}": min((of[each] for of in affordable), key=lambda number: number.value) for each in COMPARED
        }
        labels = {"tokenizer": name, **{key: getattr(trial, key) for key in ("prior", "parameters", "steps", "flops")}}
        rows.append(Row(labels, {each: trial.numbers[each] for each in POINT} | best))
    return rows
