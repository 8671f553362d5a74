import importlib.util

import pytest
import torch

from crt_nn.attention import Attention, AttentionForm
from crt_nn.backends import additive, sdpa
from crt_nn.context import AttentionContext, KVCache

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


def test_a_session_turns_queries_and_keys_and_leaves_values() -> None:
    torch.manual_seed(0)
    attention = Attention(16, heads=4, key_heads=2)
    features = torch.randn(2, 3, 16)
    positions = torch.arange(3).expand(2, -1)

    with torch.no_grad():
        cached = attention(features, AttentionContext(positions, cache=KVCache(3), shared={}))

        torch.testing.assert_close(cached, attention(features, AttentionContext(positions)), rtol=1e-5, atol=1e-6)


def test_a_mask_of_numbers_is_that_of_marks() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, heads, 4) for heads in (4, 2, 2))
    visible = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 1]], dtype=torch.bool).expand(2, -1, -1)

    mixed = sdpa(query, key, value, additive(visible, query.dtype))

    assert torch.equal(mixed, sdpa(query, key, value, visible))


def test_norms_of_heads_act_before_positions() -> None:
    """Queries and keys have unit mean square in each head, whatever the scale of the features' products."""
    torch.manual_seed(0)
    attention = Attention(8, heads=2, form=AttentionForm(norm_epsilon=1e-12))
    features = torch.randn(1, 3, 8)
    before = attention(features, CONTEXT)

    with torch.no_grad():
        attention.inward.weight[:16] *= 3  # queries and keys

    torch.testing.assert_close(attention(features, CONTEXT), before)
    with torch.no_grad():
        attention.get_parameter("query_norm.gain")[0] *= 3
    assert not torch.allclose(attention(features, CONTEXT), before)
