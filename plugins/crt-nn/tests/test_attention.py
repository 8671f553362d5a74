import importlib.util

import pytest
import torch

from crt_nn.attention import Attention
from crt_nn.context import AttentionContext

SCOPE = AttentionContext(torch.arange(3)[None])


def test_a_module_names_its_backend_from_the_first_call_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    attention = Attention(8, heads=2)
    assert not hasattr(attention, "backend")

    attention(torch.zeros(1, 3, 8), SCOPE)

    assert attention.backend_in_use == "sdpa (xformers is not installed)"


def test_a_forced_backend_that_cannot_run_is_an_error_at_the_first_call() -> None:
    attention = Attention(8, heads=2, backend="xformers")

    with pytest.raises(ValueError, match="attention: expected xformers to run, but"):
        attention(torch.zeros(1, 3, 8), SCOPE)


def test_the_order_of_other_ids_matters_through_their_positions() -> None:
    torch.manual_seed(0)
    attention = Attention(8, heads=2)
    features = torch.randn(1, 3, 8)

    swapped = attention(features[:, [1, 0, 2]], SCOPE)

    assert not torch.allclose(swapped[:, 2], attention(features, SCOPE)[:, 2])


def test_a_head_of_keys_that_serves_two_is_as_two_of_the_same() -> None:
    torch.manual_seed(0)
    shared, alone = Attention(16, heads=4, key_heads=2).double(), Attention(16, heads=4).double()
    query, key, value = shared.inward.weight.detach().split((16, 8, 8))
    twice = [part.view(2, 1, 4, 16).expand(-1, 2, -1, -1).reshape(16, 16) for part in (key, value)]
    alone.load_state_dict({"inward.weight": torch.cat((query, *twice)), "outward.weight": shared.outward.weight})
    features = torch.randn(1, 3, 16, dtype=torch.float64)

    mixed = shared(features, SCOPE)

    torch.testing.assert_close(mixed, alone(features, SCOPE), rtol=1e-9, atol=1e-9)
