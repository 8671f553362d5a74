"""The laws of bottlenecks hold for the library's codebook, and a step of training moves its entries."""

from __future__ import annotations

from typing import Any

import torch
from crt_vector_quantize import VectorQuantize

import crtcore
from crt_laws import obeys
from crtcore.kinds import Encoded

test_a_small_codebook = obeys(VectorQuantize(codes=16, width=4))


def test_crtcore_finds_it() -> None:
    assert crtcore.discover().find("bottleneck", "vector-quantize").spec is VectorQuantize


def test_a_step_moves_the_nearest_entry_alone() -> None:
    bottleneck: Any = VectorQuantize(codes=4, width=2, decay=0.5).build()
    features = torch.full((1, 3, 2), 5.0)
    output = bottleneck(features)
    before = bottleneck.lookup(torch.arange(4)).clone()
    nothing: Any = torch.zeros(1)
    mask = torch.ones(1, 3, dtype=torch.bool)

    bottleneck.train()
    bottleneck.after_step(
        Encoded(features, output.latents, output.codes, output.ids, mask, nothing, nothing, output.rate, output.loss)
    )

    moved = (bottleneck.lookup(torch.arange(4)) - features[0, 0]).norm(dim=-1) < (before - features[0, 0]).norm(dim=-1)
    assert moved[output.ids[0, 0]]
    assert not bottleneck.inner.training
