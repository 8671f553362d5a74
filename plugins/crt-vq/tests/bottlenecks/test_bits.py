"""The codes of `lfq` and `bsq`: their ids, their corners and their losses."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

from crt_vq import BSQ, LFQ
from crt_vq.bottlenecks import bits

BOTH = pytest.mark.parametrize("spec", [LFQ, BSQ])


@BOTH
@pytest.mark.parametrize("width", [1, 3])
def test_ids_count_the_corners_with_channel_0_lowest(spec: Any, width: int) -> None:
    codes = spec(width=width).build().double().lookup(torch.arange(2**width)[None])[0]

    size = 1 / math.sqrt(width) if spec is BSQ else 1.0
    signs = itertools.product([-size, size], repeat=width)
    torch.testing.assert_close(codes, torch.tensor([sign[::-1] for sign in signs], dtype=torch.float64))


@BOTH
def test_a_channel_of_nought_has_a_bit_of_nought(spec: Any) -> None:
    assert spec(width=4).build()(torch.zeros(1, 2, 4)).ids.tolist() == [[0, 0]]


@BOTH
def test_wide_ids_are_exact(spec: Any) -> None:
    features = torch.ones(1, 1, 62)

    assert spec(width=62).build()(features).ids.item() == 2**62 - 1


def test_features_on_the_sphere_have_length_one() -> None:
    output = BSQ(width=5).build()(7 * torch.ones(1, 2, 5))

    torch.testing.assert_close(output.latents.norm(dim=-1), torch.ones(1, 2))
    torch.testing.assert_close(output.codes.norm(dim=-1), torch.ones(1, 2))


@BOTH
def test_the_rate_is_a_bit_for_each_channel(spec: Any) -> None:
    assert spec(width=5).build()(torch.zeros(2, 3, 5)).rate.tolist() == pytest.approx([15 * math.log(2)] * 2)


def test_the_commitment_is_the_squared_distance_to_the_corner() -> None:
    features = torch.tensor([[[0.5, -2.0]]], requires_grad=True)

    loss = LFQ(width=2, commitment=0.5, entropy=0.0).build()(features).loss
    loss.backward()

    assert loss.item() == pytest.approx(0.5 * (0.5**2 + 1**2) / 2)
    assert features.grad is not None
    assert features.grad.flatten().tolist() == pytest.approx([-0.25, -0.5])


@pytest.mark.parametrize("spec", [LFQ(width=3, commitment=0.0), BSQ(width=3, commitment=0.0)])
def test_one_features_gap_is_nought(spec: Any) -> None:
    loss = spec.build()(torch.randn(1, 1, 3, generator=torch.Generator().manual_seed(0))).loss

    assert loss.item() == pytest.approx(0.0, abs=1e-6)


@BOTH
def test_the_loss_has_the_entropies_of_all_codes_listed(spec: Any) -> None:
    # Features that come with both signs: the mean bits are even, and so are the mean codes taken bit by bit.
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(1, 4, 3, generator=generator, dtype=torch.float64)
    corners = spec(width=3, temperature=2.0, commitment=0.0, entropy=0.5).build().double()

    output = corners(torch.cat([half, -half], 1))

    codes = corners.lookup(torch.arange(8)[None])
    squares = (output.latents[0, :, None] - codes).square().sum(-1)
    own = torch.special.entr((-squares / 2.0).softmax(-1)).sum(-1).mean()
    assert output.loss.item() == pytest.approx(0.5 * (own.item() - math.log(8)))


def test_sure_bits_that_differ_between_features_have_the_lowest_gap() -> None:
    logits = torch.tensor([[[40.0, -40.0], [-40.0, 40.0]]], dtype=torch.float64)

    assert bits.entropy_gap(logits).item() == pytest.approx(-2 * math.log(2))


@BOTH
def test_far_features_have_a_finite_gradient(spec: Any) -> None:
    features = torch.full((2, 3, 4), 1e4, requires_grad=True)

    spec(width=4, temperature=0.01).build()(features).loss.backward()

    assert features.grad is not None
    assert features.grad.isfinite().all()


@BOTH
def test_there_is_nothing_to_save(spec: Any) -> None:
    built = spec(width=4).build()

    assert list(built.parameters()) == []
    assert built.state_dict() == {}


@BOTH
@pytest.mark.parametrize("absent", [-1, 16])
def test_an_id_without_a_corner_is_refused(spec: Any, absent: int) -> None:
    with pytest.raises(ValueError, match="expected ids from 0 to 15"):
        spec(width=4).build().lookup(torch.tensor([[0, absent]]))
