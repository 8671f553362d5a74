"""Features for the laws of bottlenecks, and to which bottlenecks a law applies.

Axes: b batch, n features of a sample, w feature width, k codes of a sample.
"""

from __future__ import annotations

import attrs
import torch
from hypothesis import strategies as st
from jaxtyping import Float, Int
from torch import Tensor

from crt_laws.kit import Where
from crt_laws.laws.passes import sample_noise
from crtcore.kinds.bottleneck import Bottleneck, BottleneckOutput, DiscreteBottleneck
from crtcore.noise import Noise


def _one_code(bottleneck: DiscreteBottleneck) -> bool:
    features = torch.zeros(1, 2, bottleneck.width, dtype=torch.float64)
    return bottleneck(features).codes.shape == features.shape


@attrs.frozen
class Batch:
    """Normal features, drawn by a seed."""

    seed: int
    samples: int
    places: int
    scale: float

    def features(self, bottleneck: Bottleneck) -> Float[Tensor, "b n w"]:
        """The features, in the width of the bottleneck."""
        generator = torch.Generator().manual_seed(self.seed)
        shape = self.samples, self.places, bottleneck.width
        return self.scale * torch.randn(shape, generator=generator, dtype=torch.float64)

    def noise(self) -> Noise:
        """Noise with a seed for each sample."""
        return sample_noise(self.seed, self.samples)


SEEDS = st.integers(0, 2**32)
SCALES = st.sampled_from((0.3, 1.0, 3.0))
BATCHES = st.builds(Batch, SEEDS, st.integers(1, 5), st.integers(1, 4), SCALES)
CROWDS = st.builds(Batch, SEEDS, st.just(512), st.just(1), SCALES)
"""Many samples of one feature each, so that their entropy comes near the rate."""
GROUPS = st.builds(Batch, SEEDS, st.just(64), st.integers(1, 2), st.sampled_from((3.0, 10.0, 30.0)))
"""Samples that noisy codes can distinguish: far from one another, as first weights can be small."""

DISCRETE = Where(lambda bottleneck: bottleneck.vocabulary is not None, "its codes are continuous")
ONE_CODE = Where(
    lambda bottleneck: bottleneck.vocabulary is not None and _one_code(bottleneck),
    "it has several codes for a feature, or codes of another width, or no ids",
)
CONTINUOUS = Where(lambda bottleneck: bottleneck.vocabulary is None, "its codes are discrete")


def ids_of(output: BottleneckOutput) -> Int[Tensor, "b k"]:
    """The ids of a discrete bottleneck.

    Raises: ValueError if there are none.
    """
    if output.ids is None:
        raise ValueError("expected ids, as the bottleneck has a vocabulary, got None")
    return output.ids
