"""A bottleneck over states, and a linear prediction from what it lets through.

Axes: b batch, w width of a state, k codes of a state, d code width, v vocabulary.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crtcore.kinds import Bottleneck, Encoded
from crtcore.noise import Noise

LEAST = 1e-6
"""The smallest deviation that a channel is divided by: one that never moves stays at 0."""


class Probe(nn.Module):
    """A tokenizer by shape, of states: its distortion is what an answer costs, given the codes of its state.

    States are standardised first, by the mean and deviation of those it is to be trained on.
    """

    mean: Tensor
    deviation: Tensor
    length = 1

    def __init__(self, bottleneck: Bottleneck, states: Float[Tensor, "b w"], vocabulary: int) -> None:
        super().__init__()
        self.bottleneck = bottleneck
        self.width = bottleneck.width
        self.vocabulary = vocabulary
        self.register_buffer("mean", states.mean(0))
        self.register_buffer("deviation", states.std(0).clamp(min=LEAST))
        self.eval()  # so that a bottleneck that keeps count does not count this
        with torch.no_grad():
            codes = bottleneck(self.standardised(states[:1])).codes
        self.train()
        self.predictor = nn.Linear(codes[0].numel(), vocabulary)

    def standardised(self, states: Float[Tensor, "b w"]) -> Float[Tensor, "b 1 w"]:
        """States of mean 0 and deviation 1 in each channel, as the one feature of a sample."""
        return ((states - self.mean) / self.deviation)[:, None]

    def forward(self, states: Float[Tensor, "b w"], answers: Int[Tensor, " b"], noise: Noise | None = None) -> Encoded:
        """The whole way; the reconstruction is the logits of the answer.

        Units: distortion in nats.
        """
        features = self.standardised(states)
        squeezed = self.bottleneck(features, noise)
        logits = self.predictor(squeezed.codes.flatten(1))  # b v
        cost = nn.functional.cross_entropy(logits, answers, reduction="none")
        mask = torch.ones(squeezed.codes.shape[:2], dtype=torch.bool, device=states.device)
        return Encoded(
            features, squeezed.latents, squeezed.codes, squeezed.ids, mask,
            logits, cost, squeezed.rate, cost.mean() + squeezed.loss,
        )  # fmt: skip

    def encode(self, states: Float[Tensor, "b w"], answers: Int[Tensor, " b"] | None = None) -> Int[Tensor, "b k"]:
        """The ids of states, which they have whatever comes after.

        Raises: ValueError if the codes are continuous.
        """
        ids = self.bottleneck(self.standardised(states)).ids
        if ids is None:
            raise ValueError("expected a bottleneck with ids, got one whose codes are continuous")
        return ids

    def decode(self, ids: Int[Tensor, "b k"], answers: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b v"]:
        """The logits of the answer to ids."""
        logits: Tensor = self.predictor(self.bottleneck.lookup(ids).flatten(1))
        return logits
