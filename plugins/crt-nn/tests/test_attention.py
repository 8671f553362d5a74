import importlib.util

import pytest
import torch

from crt_nn.attention import Attention
from crt_nn.context import AttentionContext

CONTEXT = AttentionContext(torch.arange(3)[None])


def test_a_module_names_its_backend_after_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    attention = Attention(8, heads=2)
    assert not hasattr(attention, "backend")

    attention(torch.zeros(1, 3, 8), CONTEXT)

    assert attention.backend == "sdpa (xformers is not installed)"


def test_a_forced_backend_that_cannot_run_is_an_error_at_the_first_call() -> None:
    attention = Attention(8, heads=2, backend="xformers")

    with pytest.raises(ValueError, match="attention: expected xformers to run, but"):
        attention(torch.zeros(1, 3, 8), CONTEXT)


def test_the_order_of_other_ids_matters_through_their_positions() -> None:
    torch.manual_seed(0)
    attention = Attention(8, heads=2)
    features = torch.randn(1, 3, 8)

    swapped = attention(features[:, [1, 0, 2]], CONTEXT)

    assert not torch.allclose(swapped[:, 2], attention(features, CONTEXT)[:, 2])


def test_a_key_head_for_two_query_heads_equals_two_equal_key_heads() -> None:
    torch.manual_seed(0)
    shared, alone = Attention(16, heads=4, key_heads=2).double(), Attention(16, heads=4).double()
    query, key, value = shared.inward.weight.detach().split((16, 8, 8))
    twice = [part.view(2, 1, 4, 16).expand(-1, 2, -1, -1).reshape(16, 16) for part in (key, value)]
    alone.load_state_dict({"inward.weight": torch.cat((query, *twice)), "outward.weight": shared.outward.weight})
    features = torch.randn(1, 3, 16, dtype=torch.float64)

    mixed = shared(features, CONTEXT)

    torch.testing.assert_close(mixed, alone(features, CONTEXT), rtol=1e-9, atol=1e-9)
