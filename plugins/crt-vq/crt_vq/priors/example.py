"""An example of `causal-head`, which no tokenizer was trained for."""

from __future__ import annotations

import torch

from crt_vq.priors.causal_head import CausalHeadPrior
from crt_vq.priors.specs import CausalHeadExample
from crt_vq.regularizers.next_latent import NextLatentPredictor
from crt_vq.regularizers.specs import Causal

WIDTH = 4
"""Channels of a code."""
SAMPLES = 16
"""Of the ids that the temperature is fitted on."""


def example(spec: CausalHeadExample, vocabulary: int, length: int, classes: int | None) -> CausalHeadPrior:
    """A prior of a new head, codes and ids from torch's generator."""
    prior = CausalHeadPrior(spec, vocabulary, length, classes)
    predictor = NextLatentPredictor(Causal(layers=2, width=8, heads=2), WIDTH, WIDTH, length)
    class_ids = None if classes is None else torch.randint(classes, (SAMPLES,))
    ids = torch.randint(vocabulary, (SAMPLES, length))
    prior.take(predictor.head, torch.randn(vocabulary, WIDTH), ids, class_ids)
    return prior
