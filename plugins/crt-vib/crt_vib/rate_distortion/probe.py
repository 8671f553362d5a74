"""A probe: a bottleneck over states and a prediction from its codes.

Axes: b batch, w width of a state, k codes of a state, d code width, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crtcore.kinds import Bottleneck, DiscreteBottleneck, Encoded, KeepsStatistics
from crtcore.noise import Noise

LEAST = 1e-6
"""Least standard deviation by which a channel is divided; one with less, constant in training, is only centred."""


class Probe(nn.Module):
    """Has the protocol of a tokenizer of states; its distortion is the cross-entropy of the answer given the codes.

    States are first standardised by the mean and standard deviation of the training states, channels that are constant
    there only centred.
    """

    mean: Tensor
    deviation: Tensor
    length = 1

    def __init__(
        self, bottleneck: Bottleneck, states: Float[Tensor, "b w"], vocabulary: int,
        predictor: Callable[[int], nn.Module] | None = None,
    ) -> None:  # fmt: skip
        """`predictor` makes the logits' module from the channels of a code; None: a linear layer."""
        super().__init__()
        self.bottleneck = bottleneck
        self.width = bottleneck.width
        self.vocabulary = vocabulary
        self.register_buffer("mean", states.mean(0))
        deviation = states.std(0)
        self.register_buffer("deviation", deviation.where(deviation >= LEAST, 1))
        with torch.no_grad():
            codes = bottleneck(self.standardised(states[:1])).codes
        channels = codes[0].numel()
        self.predictor = nn.Linear(channels, vocabulary) if predictor is None else predictor(channels)

    def standardised(self, states: Float[Tensor, "b w"]) -> Float[Tensor, "b 1 w"]:
        """States of mean 0 and standard deviation 1 in each channel, as the only feature of a sample."""
        return ((states - self.mean) / self.deviation)[:, None]

    def forward(
        self, states: Float[Tensor, "b w"], answers: Int[Tensor, " b"], *, noise: Noise | None = None
    ) -> Encoded:
        """Encodes states and predicts answers; the reconstruction is the logits of the answer.

        Units: distortion in nats.
        """
        features = self.standardised(states)
        output = self.bottleneck(features, noise=noise)
        logits = self.predictor(output.codes.flatten(1))  # b v
        cost = nn.functional.cross_entropy(logits, answers, reduction="none")
        mask = torch.ones(output.codes.shape[:2], dtype=torch.bool, device=states.device)
        return Encoded(
            features, output.latents, output.codes, output.ids, mask,
            logits, cost, output.rate, cost.mean() + output.loss,
        )  # fmt: skip

    def after_step(self, encoded: Encoded) -> None:
        """Updates the bottleneck's statistics, if it keeps any."""
        if isinstance(self.bottleneck, KeepsStatistics):
            self.bottleneck.after_step(encoded)

    def encode(self, states: Float[Tensor, "b w"], answers: Int[Tensor, " b"] | None = None) -> Int[Tensor, "b k"]:
        """The ids of states; answers are not used.

        Raises: ValueError if the codes are continuous.
        """
        ids = self.bottleneck(self.standardised(states)).ids
        if ids is None:
            raise ValueError("expected a bottleneck with ids, got one whose codes are continuous")
        return ids

    def decode(self, ids: Int[Tensor, "b k"], answers: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b v"]:
        """The logits of the answer given ids.

        Raises: ValueError if the codes are continuous.
        """
        if not isinstance(self.bottleneck, DiscreteBottleneck):
            raise ValueError("expected a bottleneck with ids, got one whose codes are continuous")
        logits: Tensor = self.predictor(self.bottleneck.lookup(ids).flatten(1))
        return logits
