"""Rate and distortion of a probe over held-out windows, for text and for the model's own distribution.

Axes: b windows, m places of a window, s states (b * m), c classes, x contexts, k training answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from crt_run.statistics import averaged
from crt_vib.rate_distortion.measure import label_nats, noise
from crt_vib.rate_distortion.probe import Probe
from crt_vib.rate_distortion.states import Examples
from crt_vib.state_codes.best_codes import least, slope
from crt_vib.state_codes.predictor import shares_of
from crtcore.kinds import Measurement, Row


class Own(NamedTuple):
    """The model's own distribution in some contexts, and the best codes of it."""

    chosen: Int[Tensor, " x"]
    """The states of these contexts."""
    chances: Float[Tensor, "x c"]
    codes: Sequence[tuple[float, float]]


def by_window(values: Float64[Tensor, " s"], windows: int, unit: str = "nats") -> Measurement:
    """Mean and interval over windows, whose states are not independent."""
    return averaged(values.view(windows, -1).mean(1).cpu(), unit)


def by_unequal_window(values: Float64[Tensor, " x"], window: Int[Tensor, " x"]) -> Measurement:
    """Mean over contexts, and its interval over their windows, some of which have more contexts than others.

    A window counts by how far its contexts together are from the mean; with equal numbers this is `by_window`.
    Units: nats.
    Source: Cochran (1977), Sampling Techniques, chapter 9A, the ratio to size.
    """
    each, place = torch.unique(window, return_inverse=True)
    mean = values.mean()
    off = values.new_zeros(len(each)).index_add(0, place, values - mean)  # a number for each window
    return averaged((mean + off * len(each) / len(values)).cpu(), "nats")


def no_code_nats(answers: Int[Tensor, " s"], known: Int[Tensor, " k"], classes: int) -> Float64[Tensor, " s"]:
    """Nats of each held-out answer by the shares of classes among training answers, without a code.

    Shares are those of `shares_of`.
    """
    return -shares_of(known, classes).log()[answers]


def measured(
    probe: Probe, test: Examples, windows: int, samples: int, seed: int, own: Own | None
) -> dict[str, Measurement]:
    """The numbers of a point of the curve, but for its information."""
    rates, costs, owns = [], [], []
    with torch.inference_mode():
        for sample in range(samples):
            encoded = probe(test.states, test.answers, noise=noise(seed, test.answers, sample))
            rates.append(encoded.rate.double())
            costs.append(encoded.distortion.double())
            if own is not None:
                logits = encoded.reconstruction[own.chosen].double().log_softmax(-1)
                owns.append(-(own.chances.double() * logits).sum(-1))
    rate, cost = torch.stack(rates).mean(0), torch.stack(costs).mean(0)
    labels = label_nats(test.answers.cpu()).to(rate.device)
    numbers = {
        "rate_nats": by_window(rate, windows),
        "distortion_nats": by_window(cost, windows),
        "floor_nats": Measurement(max(0.0, float(labels.mean() - rate.mean())), "nats", windows),
        "floor_gap_nats": by_window(cost + rate - labels, windows),
    }
    if own is None:
        return numbers
    here, distortion = rate[own.chosen], torch.stack(owns).mean(0)
    window = own.chosen // (len(rate) // windows)  # x
    mean = float(here.mean())
    bound, steep = least(own.codes, mean), slope(own.codes, mean)
    paid = by_unequal_window(here, window)
    return numbers | {
        "own_rate_nats": paid,
        "own_distortion_nats": by_unequal_window(distortion, window),
        "own_bound_nats": Measurement(bound, "nats", paid.n),
        "own_gap_nats": by_unequal_window(distortion - bound - steep * (here - mean), window),
    }


def first_nat(rows: Sequence[Row], no_code: float) -> float | None:
    """Nats of distortion that the first nat of rate saves, on the line through the points; None: none has a nat.

    Without any rate an answer costs `no_code`, over held-out answers as at the points.
    """
    curve = sorted((each.numbers["rate_nats"].value, each.numbers["distortion_nats"].value) for each in rows)
    before = (0.0, no_code)
    for rate, cost in curve:
        if rate >= 1:
            share = (1 - before[0]) / (rate - before[0])
            return no_code - (before[1] + share * (cost - before[1]))
        before = (rate, cost)
    return None
