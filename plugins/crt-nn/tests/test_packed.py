from functools import partial

import pytest
import torch
from torch import nn

from crt_nn.attention import Attention
from crt_nn.block import Builder
from crt_nn.context import AttentionContext
from crt_nn.packed import FEW, Packed, obstacle, pack
from crt_nn.swiglu import SwiGLU


def frozen(layer: nn.Module) -> nn.Module:
    return layer.requires_grad_(False)


@pytest.mark.parametrize("rows", [1, FEW - 1, FEW, 33])
def test_products_are_those_of_the_matrices(rows: int) -> None:
    one, other, features = torch.randn(5, 8), torch.randn(3, 8), torch.randn(2, rows, 8)

    with torch.no_grad():
        result = Packed([one, other])(features)

    torch.testing.assert_close(result, torch.cat((features @ one.T, features @ other.T), -1))


@pytest.mark.parametrize("build", [partial(SwiGLU, hidden=12), partial(Attention, heads=2, key_heads=1)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_a_packed_layer_returns_what_it_returned(build: Builder, dtype: torch.dtype, tolerance: float) -> None:
    layer = frozen(build(8)).to(dtype)
    features, context = torch.randn(2, 5, 8).to(dtype), AttentionContext(torch.arange(5).expand(2, -1))
    with torch.no_grad():
        before = layer(features, context)

        said = pack(layer)

        after = layer(features, context)
    assert said == "packed: 1 layers"
    torch.testing.assert_close(after, before, rtol=tolerance, atol=tolerance)


def test_weights_that_change_are_not_used_as_they_were() -> None:
    layer = frozen(SwiGLU(8, hidden=12))
    pack(layer)
    layer.get_parameter("up.weight").mul_(2)

    with torch.no_grad(), pytest.raises(ValueError, match="pack them again"):
        layer(torch.randn(1, 4, 8), AttentionContext(torch.arange(4)[None]))


def test_weights_replaced_by_others_are_not_used_as_they_were() -> None:
    layer = frozen(SwiGLU(8, hidden=12))
    pack(layer)
    layer.load_state_dict({name: weight.clone() for name, weight in layer.state_dict().items()}, assign=True)

    pack(layer)

    with torch.no_grad():
        layer(torch.randn(1, 4, 8), AttentionContext(torch.arange(4)[None]))


def test_gradients_go_through_the_weights_themselves() -> None:
    layer = frozen(SwiGLU(8, hidden=12))
    pack(layer)
    features = torch.randn(1, 4, 8, requires_grad=True)

    layer(features, AttentionContext(torch.arange(4)[None])).sum().backward()

    assert features.grad is not None


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (SwiGLU(8, hidden=12), "trained"),
        (frozen(SwiGLU(8, hidden=12).double()), "float32"),
        (frozen(SwiGLU(8, hidden=12).to("meta")), "CPU"),
    ],
)
def test_what_cannot_be_packed_says_why(layer: nn.Module, why: str) -> None:
    assert why in str(obstacle(layer))
    assert pack(layer).startswith("not packed")
    assert why in pack(layer)


def test_packing_leaves_the_names_of_weights() -> None:
    layer = frozen(SwiGLU(8, hidden=12))
    names = list(layer.state_dict())

    pack(layer)

    assert list(layer.state_dict()) == names
