"""The temperature, and the logits of classes, under which ids are likeliest.

Axes: n ids, k codes, c classes and none.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

STEPS = 200
"""The most steps of the optimiser; ten to thirty are usual."""


class Fitted(NamedTuple):
    """The maximum."""

    inverse: Float[Tensor, ""]
    """One over the temperature, in float64; negative if codes that are nearer are less likely."""
    bias: Float[Tensor, "c k"] | None
    """Logits of each class, and 0 for no class."""


def fitted(
    nearness: Float[Tensor, "n k"], ids: Int[Tensor, " n"], class_ids: Int[Tensor, " n"] | None = None, classes: int = 0
) -> Fitted:
    """The maximum of the likelihood of `ids` under the logits `nearness / temperature`, plus those of their classes.

    Logits of classes have a normal prior of standard deviation 1, without which one of an id that a class never has
    would not be bounded. The negative logarithm is convex in one over the temperature and these logits together.
    Cost: some passes over `n k` in float64.
    """
    nearness = nearness.double()
    scale = (nearness.amax(1) - nearness.mean(1)).mean().clamp(min=torch.finfo(torch.float64).tiny)
    nearness = nearness / scale  # so that the first step has about the right size
    inverse = torch.ones((), dtype=torch.float64, device=nearness.device, requires_grad=True)
    bias = None if class_ids is None else nearness.new_zeros(classes, nearness.shape[1], requires_grad=True)
    unknown = [inverse] if bias is None else [inverse, bias]
    search = torch.optim.LBFGS(
        unknown, max_iter=STEPS, tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def cost() -> Tensor:
        """The mean nats of an id, and what logits of classes cost."""
        search.zero_grad()
        logits = inverse * nearness
        if bias is not None and class_ids is not None:
            logits = logits + bias[class_ids]
        total = functional.cross_entropy(logits, ids)
        if bias is not None:
            total = total + bias.square().sum() / (2 * len(ids))
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with torch.enable_grad():
        search.step(cost)  # type: ignore[no-untyped-call]
    none = None if bias is None else functional.pad(bias.detach(), (0, 0, 0, 1))
    return Fitted(inverse.detach() / scale, none)
