"""The rotation trick: where features land, and how their gradient turns."""

from __future__ import annotations

import math

import torch

from crt_vq import VQ
from crt_vq.bottlenecks.rotation import rotated


def drawn(seed: int) -> torch.Tensor:
    """A few vectors."""
    return torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_features_land_on_their_codes() -> None:
    features, codes = drawn(0), drawn(1)

    torch.testing.assert_close(rotated(features, codes), codes)


def test_the_gradient_keeps_its_angle_to_the_vector_it_belongs_to() -> None:
    features, codes, incoming = drawn(0).requires_grad_(), drawn(1), drawn(2)

    (outgoing,) = torch.autograd.grad(rotated(features, codes), features, incoming)

    scale = codes.norm(dim=-1) / features.norm(dim=-1)
    torch.testing.assert_close(outgoing.norm(dim=-1), scale * incoming.norm(dim=-1))
    cosines = torch.nn.functional.cosine_similarity
    torch.testing.assert_close(cosines(outgoing, features.detach(), dim=-1), cosines(incoming, codes, dim=-1))


def test_a_quarter_turn_turns_the_gradient_back() -> None:
    features = torch.tensor([[1.0, 0.0]], requires_grad=True)

    (outgoing,) = torch.autograd.grad(
        rotated(features, torch.tensor([[0.0, 2.0]])), features, torch.tensor([[0.0, 1.0]])
    )

    torch.testing.assert_close(outgoing, torch.tensor([[2.0, 0.0]]))


def test_a_feature_of_length_nought_has_a_finite_gradient() -> None:
    features = torch.zeros(1, 2, requires_grad=True)

    (outgoing,) = torch.autograd.grad(rotated(features, torch.ones(1, 2)), features, torch.ones(1, 2))

    assert outgoing.norm().item() <= math.sqrt(2) + 1e-6


def test_the_choice_of_gradient_changes_no_code() -> None:
    torch.manual_seed(0)
    straight = VQ(codes=16).build()
    outgoing = VQ(codes=16, gradient="rotation").build()
    outgoing.load_state_dict(straight.state_dict())
    features = torch.randn(2, 3, 8)

    assert torch.equal(outgoing(features).codes, straight(features).codes)
