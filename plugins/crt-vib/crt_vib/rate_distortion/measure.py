"""Rate, distortion and information of a trained probe on held-out states.

Axes: b batch, s samples of codes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from crt_run.statistics import averaged
from crt_run.training.ids import spread
from crt_vib.gaussian.sandwich import sandwich
from crt_vib.rate_distortion.frontier import Frontier
from crt_vib.rate_distortion.probe import Probe
from crt_vib.rate_distortion.states import Examples
from crtcore.kinds import Measurement, Row
from crtcore.noise import Noise

AMONG = 2048
"""Most states for the estimate of the information, which cannot exceed the logarithm of their number."""


class Costs(NamedTuple):
    """Rate and distortion of each held-out state, averaged over codes."""

    rate: Float64[Tensor, " b"]
    distortion: Float64[Tensor, " b"]


def probe_costs(probe: Probe, test: Examples, samples: int, seed: int) -> Costs:
    """Costs of each state; code s of state i depends only on the seed, i and s."""
    rates, distortions = [], []
    with torch.inference_mode():
        for sample in range(samples):
            encoded = probe(test.states, test.answers, noise=noise(seed, test.answers, sample))
            rates.append(encoded.rate.double())
            distortions.append(encoded.distortion.double())
    return Costs(torch.stack(rates).mean(0).cpu(), torch.stack(distortions).mean(0).cpu())


def noise(seed: int, answers: Int[Tensor, " b"], sample: int) -> Noise:
    """The noise of one code for each held-out state, on the device of their answers."""
    own = Noise(seed, "codes of held-out states")
    return Noise(own.seeds(torch.arange(len(answers)), sample).to(answers.device), own.stream)


def evenly(test: Examples, most: int) -> Examples:
    """At most so many of the states, evenly spaced: the first ones alone would be of the first documents."""
    chosen = spread(len(test.answers), most).to(test.answers.device)
    return Examples(test.states[chosen], test.answers[chosen])


def information(probe: Probe, test: Examples, seed: int) -> dict[str, Measurement]:
    """Two estimates of the information of codes about states; empty if the bottleneck has no posterior."""
    if not hasattr(probe.bottleneck, "posterior"):
        return {}
    few = evenly(test, AMONG)
    with torch.inference_mode():
        features = probe.standardised(few.states)
        codes = probe.bottleneck(features, noise=noise(seed, few.answers, 0)).codes
        costs = sandwich(codes, probe.bottleneck.posterior(features))
    return {
        "information_lower_nats": averaged(costs.lower.double().cpu(), "nats"),
        "information_upper_nats": averaged(costs.upper.double().cpu(), "nats"),
    }


def label_nats(answers: Int[Tensor, " b"]) -> Float64[Tensor, " b"]:
    """Nats of each answer under the shares of answers in this set."""
    counts = torch.bincount(answers).double()
    return -(counts / counts.sum()).log()[answers]


def row(weight: float, costs: Costs, answers: Int[Tensor, " b"], frontier: Frontier | None) -> Row:
    """A point of the curve.

    Gaps have intervals as means over states too: D + R - H(Y) is one, and the frontier is replaced by its tangent at
    the measured rate.
    """
    labels = label_nats(answers.cpu())
    rate, distortion = averaged(costs.rate, "nats"), averaged(costs.distortion, "nats")
    numbers = {
        "rate_nats": rate,
        "distortion_nats": distortion,
        "floor_nats": Measurement(max(0.0, float(labels.mean()) - rate.value), "nats", len(labels)),
        "floor_gap_nats": averaged(costs.distortion + costs.rate - labels, "nats"),
    }
    if frontier is not None:
        numbers["frontier_nats"] = Measurement(frontier.least(rate.value), "nats", len(labels))
        numbers["frontier_gap_nats"] = averaged(gaps(costs, frontier), "nats")
    return Row({"weight": weight}, numbers)


def gaps(costs: Costs, frontier: Frontier) -> Float64[Tensor, " b"]:
    """Contribution of each state to the distance above the frontier, which is their mean."""
    rate = float(costs.rate.mean())
    return costs.distortion - frontier.least(rate) + frontier.slope(rate) * (costs.rate - rate)
