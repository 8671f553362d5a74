"""How near Gaussian codes come to the frontier of the noisy pointer, fitted to its classes without a network.

Each class has its own mean, all classes share a scale for each channel, and the prior is the mixture of all, so that
the rate is the information itself. The predictor is linear or has a hidden layer. The gap to the frontier is what codes
of one Gaussian for each class cannot reach, up to the precision of gradient descent; it is the best of `--rounds` fits.

A third family has codes of the component `mixture`: all classes share as many Gaussians as there are classes, each has
weights of its own, and the predictor is linear. Sums over the Gaussians are exact. Codes here are the limit that
training comes to, as gradients have no noise from the choice of a Gaussian.

Usage: python bench/gaussian_codes.py [--steps N] [--channels N] [--rounds N] [--threads N] [--json]
"""

import argparse
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from side_by_side import keep, options, show
from torch import Tensor, nn

from crt_vib.rate_distortion.frontier import exact_frontier

CLASSES, NOISE = 16, 0.2
RATE, SQUARED = (0.35, 0.5, 0.55, 0.62, 0.67), (0.03, 0.11, 0.14, 0.18, 0.25, 0.4, 1.0)
DRAWS, TRIED = 32, 4000


def main() -> None:
    arguments = options("Gaussian codes beside the exact frontier.", steps=1500, channels=16)
    joint = np.full((CLASSES, CLASSES), NOISE / CLASSES**2) + np.eye(CLASSES) * (1 - NOISE) / CLASSES
    frontier, answers = exact_frontier(joint), torch.tensor(joint * CLASSES).float()
    rows, numbers = [], {"channels": arguments.channels, "steps": arguments.steps}
    for power, prices in (("rate", RATE), ("squared rate", SQUARED)):
        for price in prices:
            for name in ("linear", "hidden layer", "mixture"):

                def charged(rate: Tensor, power: str = power, price: float = price) -> Tensor:
                    return price * (rate if power == "rate" else rate**2)

                fit = mixed if name == "mixture" else fitted
                fits = [fit(arguments, answers, name, charged, seed) for seed in range(arguments.rounds)]
                rate, distortion = min(fits, key=lambda each: each[1] + float(charged(torch.tensor(each[0]))))
                gap = distortion - frontier.least(rate)
                rows.append((f"{price} of the {power}", name, f"{rate:.3f}", f"{distortion:.3f}", f"{gap:.3f}"))
                key = f"{price} of the {power}, {name}"
                numbers |= {f"{key}, rate": rate, f"{key}, distortion": distortion, f"{key}, gap": gap}
    print(f"{CLASSES} classes, noise {NOISE}, {arguments.channels} channels; the best of {arguments.rounds} fits; nats")
    show(("price", "predictor", "rate", "distortion", "above the frontier"), rows)
    keep("gaussian_codes", [], numbers, arguments)


def fitted(
    arguments: argparse.Namespace, answers: Tensor, name: str, charged: Callable[[Tensor], Tensor], seed: int
) -> tuple[float, float]:
    """Rate and distortion of one fit with a Gaussian for each class, in nats."""
    torch.manual_seed(seed)
    means = nn.Parameter(0.3 * torch.randn(CLASSES, arguments.channels))
    scales = nn.Parameter(torch.full((arguments.channels,), -0.5))
    hidden = nn.Sequential(nn.Linear(arguments.channels, 64), nn.ReLU(), nn.Linear(64, CLASSES))
    predictor = nn.Linear(arguments.channels, CLASSES) if name == "linear" else hidden

    def losses(count: int) -> tuple[Tensor, Tensor]:
        codes = means[:, None] + scales.exp() * torch.randn(CLASSES, count, arguments.channels)  # c s d
        gaps = (codes[:, :, None] - means) / scales.exp()  # c s c d
        logits = -gaps.square().sum(-1) / 2  # c s c, up to what all share
        own = logits[torch.arange(CLASSES), :, torch.arange(CLASSES)]
        rate = (own - logits.logsumexp(-1)).mean() + math.log(CLASSES)
        return rate, -(answers[:, None] * predictor(codes).log_softmax(-1)).sum(-1).mean()

    return descended([means, scales, *predictor.parameters()], losses, charged, arguments.steps)


def mixed(
    arguments: argparse.Namespace, answers: Tensor, _: str, charged: Callable[[Tensor], Tensor], seed: int
) -> tuple[float, float]:
    """Rate and distortion of one fit with Gaussians that all classes share, in nats."""
    torch.manual_seed(seed)
    means = nn.Parameter(2 * torch.randn(CLASSES, arguments.channels))  # k d
    scales = nn.Parameter(torch.full((arguments.channels,), -0.5))
    logits = nn.Parameter(0.3 * torch.randn(CLASSES, CLASSES))  # c k
    predictor = nn.Linear(arguments.channels, CLASSES)

    def losses(count: int) -> tuple[Tensor, Tensor]:
        codes = means[:, None] + scales.exp() * torch.randn(CLASSES, count, arguments.channels)  # k s d
        near = -((codes[:, :, None] - means) / scales.exp()).square().sum(-1) / 2  # k s k, up to what all share
        weights = logits.log_softmax(-1)
        own = (near[:, :, None] + weights).logsumexp(-1)  # k s c
        rates = own - own.logsumexp(-1, keepdim=True) + math.log(CLASSES)
        costs = -predictor(codes).log_softmax(-1) @ answers.T  # k s c
        shares = weights.exp().T[:, None] / (CLASSES * count)  # k 1 c
        return (shares * rates).sum(), (shares * costs).sum()

    return descended([means, scales, logits, *predictor.parameters()], losses, charged, arguments.steps)


def descended(
    parameters: Sequence[nn.Parameter],
    losses: Callable[[int], tuple[Tensor, Tensor]],
    charged: Callable[[Tensor], Tensor],
    steps: int,
) -> tuple[float, float]:
    """Rate and distortion after gradient descent, in nats."""
    optimizer = torch.optim.Adam(parameters, lr=2e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rate, distortion = losses(DRAWS)
        optimizer.zero_grad()
        (distortion + charged(rate)).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        rate, distortion = losses(TRIED)
    return float(rate), float(distortion)


if __name__ == "__main__":
    main()
