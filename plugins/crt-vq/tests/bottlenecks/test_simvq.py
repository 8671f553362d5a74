"""`simvq`: what learns and what does not."""

from __future__ import annotations

import pytest
import torch

from crt_vq import SimVQ


def test_a_step_on_one_code_moves_all_of_them() -> None:
    torch.manual_seed(0)
    codebook = SimVQ(codes=16).build()
    everything = torch.arange(16)[None]
    before = codebook.lookup(everything).detach()
    optimizer = torch.optim.SGD(codebook.parameters(), lr=0.1)

    codebook(torch.ones(1, 1, 8)).loss.backward()
    optimizer.step()

    assert (codebook.lookup(everything) != before).any(-1).all()


def test_the_frozen_codes_are_saved_and_do_not_learn() -> None:
    codebook = SimVQ(codes=16).build()

    assert {name for name, _ in codebook.named_parameters()} == {"map.weight", "map.bias"}
    assert "frozen" in codebook.state_dict()


def test_beta_scales_only_the_gradient_at_features() -> None:
    codebook = SimVQ(codes=2, width=1, commitment=0.25).build().double()
    codebook.frozen.copy_(torch.tensor([[0.0], [10.0]]))
    torch.nn.init.ones_(codebook.map.weight)
    torch.nn.init.zeros_(codebook.map.bias)
    features = torch.ones(1, 1, 1, dtype=torch.float64, requires_grad=True)

    codebook(features).loss.backward()

    # d/dz beta (z - e)^2 = 2 beta (z - e), d/db (z - e)^2 = -2 (z - e), at z = 1, e = 0
    assert features.grad is not None
    assert features.grad.item() == pytest.approx(0.5)
    assert codebook.map.bias.grad is not None
    assert codebook.map.bias.grad.item() == pytest.approx(-2.0)
