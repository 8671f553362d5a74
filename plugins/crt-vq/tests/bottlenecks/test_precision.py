"""Every bottleneck of the plugin quantises in float32, also under autocast."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_vq import plugin
from crtcore.kinds import BottleneckSpec

SPECS = [
    pytest.param(spec, id=f"{component.name}-{place}")
    for component in plugin.crt_components()
    for place, spec in enumerate(component.examples)
    if isinstance(spec, BottleneckSpec)
]


@pytest.mark.parametrize("spec", SPECS)
@settings(deadline=None, max_examples=10, derandomize=True)
@given(seed=st.integers(0, 2**32), scale=st.sampled_from((0.1, 1.0, 10.0)))
def test_autocast_changes_no_bit(spec: BottleneckSpec, seed: int, scale: float) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        bottleneck = spec.build()
        features = scale * torch.randn(4, 16, bottleneck.width)
    plain = bottleneck(features)

    with torch.autocast("cpu", torch.bfloat16):
        mixed = bottleneck(features)
        codes = bottleneck.lookup(mixed.ids)

    assert torch.equal(codes, bottleneck.lookup(plain.ids))
    assert all(torch.equal(left, right) for left, right in zip(mixed, plain, strict=True))
    assert mixed.codes.dtype == mixed.latents.dtype == mixed.rate.dtype == mixed.loss.dtype == torch.float32


@pytest.mark.parametrize("spec", SPECS)
def test_half_precision_features_are_compared_in_float32(spec: BottleneckSpec) -> None:
    bottleneck = spec.build()
    features = torch.randn(4, 16, bottleneck.width, dtype=torch.bfloat16)

    with torch.autocast("cpu", torch.bfloat16):
        output = bottleneck(features)

    assert torch.equal(output.latents, bottleneck(features.float()).latents)


@pytest.mark.parametrize("spec", SPECS)
def test_another_width_is_refused(spec: BottleneckSpec) -> None:
    bottleneck = spec.build()

    with pytest.raises(ValueError, match=f"expected features of width {bottleneck.width}, got 1"):
        bottleneck(torch.zeros(1, 1, 1))
