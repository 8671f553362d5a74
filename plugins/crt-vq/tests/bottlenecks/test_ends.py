"""Bottlenecks at their ends: features without a number, ids out of range, and the most codes."""

import math
from collections.abc import Callable

import pytest
import torch

from crt_vq.bottlenecks.specs import BSQ, LFQ, VQ, Perturbed, ResidualVQ, SimVQ
from crtcore.kinds import BottleneckSpec
from crtcore.spec import FieldError

SPECS = [
    VQ(codes=8), VQ(codes=8, compare="euclidean"), SimVQ(codes=8), ResidualVQ(codes=8, depth=2), LFQ(width=3),
    BSQ(width=3), Perturbed(bottleneck=VQ(codes=8), neighbours=2),
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 3e38])
def test_a_feature_without_a_finite_square_is_refused(spec: BottleneckSpec, wrong: float) -> None:
    bottleneck = spec.build()
    features = torch.zeros(2, 2, bottleneck.width)
    features[1, 1, -1] = wrong

    with pytest.raises(ValueError, match=r"expected finite features, none beyond .*, got"):
        bottleneck(features)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("wrong", [-1, 8])
def test_an_id_without_a_code_is_refused(spec: BottleneckSpec, wrong: int) -> None:
    with pytest.raises(ValueError, match=rf"expected ids from 0 to 7, got {wrong} at \[0, 1\]"):
        spec.build().lookup(torch.tensor([[0, wrong]]))


@pytest.mark.parametrize("make", [VQ, SimVQ, ResidualVQ])
def test_more_codes_than_an_int64_counts_are_refused(make: Callable[..., BottleneckSpec]) -> None:
    with pytest.raises(FieldError, match=r"codes: expected 2 to 2\^62, got 9223372036854775808"):
        make(codes=2**63)


@pytest.mark.parametrize("make", [LFQ, BSQ])
def test_the_most_bits_have_ids(make: Callable[..., BottleneckSpec]) -> None:
    bottleneck = make(width=62).build()
    output = bottleneck(torch.ones(1, 1, 62))

    assert output.ids.item() == 2**62 - 1
    assert torch.equal(bottleneck.lookup(output.ids), output.codes)


def test_every_code_of_a_codebook_in_half_precision_is_reached() -> None:
    torch.manual_seed(0)
    bottleneck = VQ(codes=512, width=8).build().bfloat16()
    ids = torch.arange(512)[None]

    assert torch.equal(bottleneck(bottleneck.lookup(ids)).ids, ids)


@pytest.mark.parametrize(
    ("spec", "bits"),
    [
        (VQ(codes=512, width=8), 9),
        (SimVQ(codes=512, width=8), 9),
        (ResidualVQ(codes=512, width=8, depth=3), 27),
        (LFQ(width=9), 9),
        (BSQ(width=9), 9),
    ],
    ids=lambda value: type(value).__name__,
)
def test_rates_in_half_precision_are_not_rounded_to_it(spec: BottleneckSpec, bits: int) -> None:
    """500 codes of 9 bits are 3,119.2 nats; bfloat16 has steps of 16 there."""
    bottleneck = spec.build().bfloat16()

    rate = bottleneck(torch.randn(2, 500, bottleneck.width, dtype=torch.bfloat16)).rate

    torch.testing.assert_close(rate, torch.full((2,), 500 * bits * math.log(2)), rtol=1e-6, atol=0)
