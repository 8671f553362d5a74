"""What a trained probe comes to on held-out states.

Axes: b batch, s samples of codes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from crt_run.statistics import averaged
from crt_vib.gaussian.posterior import Posterior
from crt_vib.gaussian.sandwich import sandwich
from crt_vib.rate_distortion.frontier import Frontier
from crt_vib.rate_distortion.probe import Probe
from crt_vib.rate_distortion.reading import Examples
from crtcore.kinds import Measurement, Row
from crtcore.noise import Noise

AMONG = 2048
"""States that the information is estimated among, at most: it cannot be told above the logarithm of their number."""


class Told(NamedTuple):
    """What each held-out state costs, and what its answer does, in the mean over codes."""

    rate: Float64[Tensor, " b"]
    distortion: Float64[Tensor, " b"]


def told(probe: Probe, test: Examples, samples: int, seed: int) -> Told:
    """What each state costs; code s of state i hangs on the seed, i and s alone."""
    rates, distortions = [], []
    with torch.inference_mode():
        for sample in range(samples):
            encoded = probe(test.states, test.answers, noise(seed, len(test.answers), sample))
            rates.append(encoded.rate.double())
            distortions.append(encoded.distortion.double())
    return Told(torch.stack(rates).mean(0).cpu(), torch.stack(distortions).mean(0).cpu())


def noise(seed: int, count: int, sample: int) -> Noise:
    """The noise of one code for each state."""
    return Noise(Noise(seed, "codes of held-out states").seeds(torch.arange(count), sample), "codes")


def information(probe: Probe, test: Examples, seed: int) -> dict[str, Measurement]:
    """What the codes have of the states, between two estimates; nothing of a bottleneck that tells no posterior."""
    if not hasattr(probe.bottleneck, "posterior"):
        return {}
    count = min(AMONG, len(test.states))
    with torch.inference_mode():
        features = probe.standardised(test.states[:count])
        codes = probe.bottleneck(features, noise(seed, count, 0)).codes.flatten(1)
        found = sandwich(codes, Posterior(*(part.flatten(1) for part in probe.bottleneck.posterior(features))))
    return {
        "information_lower_nats": averaged(found.lower.double().cpu(), "nats"),
        "information_upper_nats": averaged(found.upper.double().cpu(), "nats"),
    }


def label_nats(answers: Int[Tensor, " b"]) -> Float64[Tensor, " b"]:
    """What each answer costs by the shares that the answers of this very set have."""
    counts = torch.bincount(answers).double()
    return -(counts / counts.sum()).log()[answers]


def row(weight: float, found: Told, answers: Int[Tensor, " b"], frontier: Frontier | None) -> Row:
    """A point of the curve.

    The intervals of gaps are those of a mean over states too: D + R - H(Y) is one, and the frontier is taken for its
    tangent at the rate that was met.
    """
    labels = label_nats(answers.cpu())
    rate, distortion = averaged(found.rate, "nats"), averaged(found.distortion, "nats")
    numbers = {
        "rate_nats": rate,
        "distortion_nats": distortion,
        "floor_nats": Measurement(max(0.0, float(labels.mean()) - rate.value), "nats", len(labels)),
        "floor_gap_nats": averaged(found.distortion + found.rate - labels, "nats"),
    }
    if frontier is not None:
        numbers["frontier_nats"] = Measurement(frontier.least(rate.value), "nats", len(labels))
        numbers["frontier_gap_nats"] = averaged(gaps(found, frontier), "nats")
    return Row({"weight": weight}, numbers)


def gaps(found: Told, frontier: Frontier) -> Float64[Tensor, " b"]:
    """What each state adds to the distance above the frontier; their mean is that distance."""
    rate = float(found.rate.mean())
    return found.distortion - frontier.least(rate) + frontier.slope(rate) * (found.rate - rate)
