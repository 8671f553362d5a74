from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from crt_nn import packed
from crt_nn.attention import Attention, AttentionForm
from crt_nn.block import Builder, Stack
from crt_nn.context import AttentionContext
from crt_nn.native import kernels
from crt_nn.norm import RMSNorm
from crt_nn.packed import Packed, Place, obstacle, pack
from crt_nn.swiglu import SwiGLU


@pytest.fixture(params=["own kernels", "torch"], autouse=True)
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Tests both ways; the second is that of a machine without a compiler."""
    if request.param == "torch":
        monkeypatch.setattr(kernels, "obstacle", lambda: "expected the compiler 'g++' in PATH, got none")
    return str(request.param)


def frozen(layer: nn.Module) -> nn.Module:
    return layer.requires_grad_(False)


@pytest.mark.parametrize("wide", [100, 4], ids=["turned", "in oneDNN's order"])
@pytest.mark.parametrize("rows", [1, 2, 3, 33])
def test_products_are_those_of_the_matrices(monkeypatch: pytest.MonkeyPatch, rows: int, wide: int) -> None:
    monkeypatch.setattr(packed, "WIDE", wide)
    one, other, features = torch.randn(5, 8), torch.randn(3, 8), torch.randn(2, rows, 8)

    with torch.no_grad():
        result = Packed([Place(nn.ParameterList([one, other]), name) for name in "01"])(features)

    torch.testing.assert_close(result, torch.cat((features @ one.T, features @ other.T), -1))


FORM = AttentionForm(channels=6, inward_bias=True, outward_bias=True, norm_epsilon=1e-5)


@pytest.mark.parametrize("rows", [1, 3, 33])
def test_products_of_layers_have_their_biases(rows: int) -> None:
    one, other, features = nn.Linear(8, 5), nn.Linear(8, 3), torch.randn(rows, 8)

    with torch.no_grad():
        result = Packed.of(nn.ModuleList([one, other]), "0", "1")(features)

    torch.testing.assert_close(result, torch.cat((one(features), other(features)), -1))


@pytest.mark.parametrize(
    "build",
    [
        partial(SwiGLU, hidden=12),
        partial(SwiGLU, hidden=12, bias=True),
        partial(Attention, heads=2, key_heads=1),
        partial(Attention, heads=2, key_heads=1, form=FORM),
    ],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_a_packed_layer_returns_what_it_returned(by: str, build: Builder, dtype: torch.dtype, tolerance: float) -> None:
    layer = frozen(build(8)).to(dtype)
    features, context = torch.randn(2, 5, 8).to(dtype), AttentionContext(torch.arange(5).expand(2, -1))
    with torch.no_grad():
        before = layer(features, context)

        said = pack(layer)

        after = layer(features, context)
    norms = sum(isinstance(each, RMSNorm) for each in layer.modules())
    assert said == vars(layer)["packing"]
    assert said.startswith(f"packed: {1 + norms} layers, by {by}")
    assert by == "own kernels" or "'g++' in PATH" in said
    torch.testing.assert_close(after, before, rtol=tolerance, atol=tolerance)


def test_a_bias_that_changes_is_not_used_as_it_was() -> None:
    layer = frozen(SwiGLU(8, hidden=12, bias=True))
    pack(layer)
    layer.get_parameter("up.bias").add_(1)

    with torch.no_grad(), pytest.raises(ValueError, match="pack them again"):
        layer(torch.randn(1, 4, 8), AttentionContext(torch.arange(4)[None]))


@pytest.mark.parametrize("wide", [100, 4], ids=["turned", "in oneDNN's order"])
@pytest.mark.parametrize("rows", [1, 3, 33])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_a_product_is_added_to_a_stream_that_stays_as_it_was(
    monkeypatch: pytest.MonkeyPatch, rows: int, dtype: torch.dtype, tolerance: float, wide: int
) -> None:
    monkeypatch.setattr(packed, "WIDE", wide)
    layer, features, stream = nn.Linear(8, 5).to(dtype), torch.randn(rows, 8).to(dtype), torch.randn(rows, 5).to(dtype)
    before = stream.clone()

    with torch.no_grad():
        result = Packed.of(nn.ModuleList([layer]), "0")(features, stream)

    torch.testing.assert_close(result, stream + layer(features), rtol=tolerance, atol=tolerance)
    assert torch.equal(stream, before)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_packed_blocks_and_norms_return_what_they_returned(by: str, dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    stack = Stack(8, 2, [partial(Attention, heads=2), partial(SwiGLU, hidden=12)])
    for gain in stack.parameters():
        gain.data += 0.1 * torch.randn_like(gain)
    frozen(stack).to(dtype)
    features, context = 30 * torch.randn(2, 5, 8).to(dtype), AttentionContext(torch.arange(5).expand(2, -1))

    with torch.no_grad():
        before = stack(features, context)
        pack(stack)
        after = stack(features, context)

    torch.testing.assert_close(after, before, rtol=tolerance, atol=tolerance)
    if by == "own kernels" or dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        assert not torch.equal(after, before)  # or else nothing was packed


def test_a_gain_that_changes_is_not_used_as_it_was() -> None:
    norm = frozen(RMSNorm(8))
    pack(norm)
    norm.get_parameter("gain").mul_(2)

    with torch.no_grad(), pytest.raises(ValueError, match="pack them again"):
        norm(torch.randn(1, 4, 8))


def test_weights_that_change_are_not_used_as_they_were() -> None:
    layer = frozen(SwiGLU(8, hidden=12))
    pack(layer)
    layer.get_parameter("up.weight").mul_(2)

    with torch.no_grad(), pytest.raises(ValueError, match="pack them again"):
        layer(torch.randn(1, 4, 8), AttentionContext(torch.arange(4)[None]))


def assigned(layer: nn.Module) -> None:
    layer.load_state_dict({name: 2 * weight for name, weight in layer.state_dict().items()}, assign=True)


def other_data(layer: nn.Module) -> None:
    for weight in layer.parameters():
        weight.data = 2 * weight.data


def turned_data(layer: nn.Module) -> None:
    for weight in layer.parameters():
        weight.data = weight.data.T if weight.ndim == 2 else weight.data[::2]


def other_parameters(layer: nn.Module) -> None:
    for module in layer.modules():
        for name, weight in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(2 * weight, requires_grad=False))


def other_layers(layer: nn.Module) -> None:
    for module in layer.modules():
        for name, inner in module.named_children():
            setattr(module, name, frozen(nn.Linear(inner.in_features, inner.out_features)))


def by_one_vector(layer: nn.Module) -> None:
    vector_to_parameters(2 * parameters_to_vector(layer.parameters()), layer.parameters())


REPLACED: dict[str, Callable[[nn.Module], object]] = {
    "assigned": assigned, "other data": other_data, "turned data": turned_data, "other parameters": other_parameters,
    "one vector": by_one_vector, "bfloat16": nn.Module.bfloat16, "another device": lambda layer: layer.to("meta"),
}  # fmt: skip
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "norm": partial(RMSNorm, 8),
    "products": lambda: nn.ModuleDict({"one": nn.Linear(8, 8)}),
    "products with others": partial(SwiGLU, 8, hidden=8, bias=True),
}


def packed_call(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    """Packs a layer, and returns what computes with it."""
    if isinstance(layer, nn.ModuleDict):
        return Packed.of(layer, "one")
    pack(layer)
    if isinstance(layer, RMSNorm):
        return layer
    return lambda features: layer(features, AttentionContext(torch.arange(features.shape[1])[None]))


@pytest.mark.parametrize(
    ("kind", "way"), [*((kind, way) for kind in LAYERS for way in REPLACED), ("products with others", "other layers")]
)
def test_weights_replaced_by_others_are_not_used_as_they_were(kind: str, way: str) -> None:
    layer = frozen(LAYERS[kind]())
    call, features = packed_call(layer), torch.randn(1, 4, 8)

    {**REPLACED, "other layers": other_layers}[way](layer)

    with torch.no_grad(), pytest.raises(ValueError, match="pack them again"):
        call(features)


@pytest.mark.parametrize("way", [assigned, other_data, other_parameters, other_layers, by_one_vector])
def test_weights_packed_again_are_used(way: Callable[[nn.Module], object]) -> None:
    layer = frozen(SwiGLU(8, hidden=12))
    features, context = torch.randn(1, 4, 8), AttentionContext(torch.arange(4)[None])
    pack(layer)
    way(layer)
    expected = layer(features.requires_grad_(), context).detach()

    pack(layer)

    with torch.no_grad():
        torch.testing.assert_close(layer(features, context), expected)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("features", "got"),
    [
        (torch.randn(1, 4, 8, dtype=torch.float64), "torch.float64 on cpu"),
        (torch.randn(1, 4, 8, dtype=torch.bfloat16), "torch.bfloat16 on cpu"),
        (torch.randn(1, 4, 8, device="meta"), "torch.float32 on meta"),
    ],
    ids=["float64", "bfloat16", "meta"],
)
def test_features_of_another_dtype_or_device_do_not_reach_a_kernel(
    monkeypatch: pytest.MonkeyPatch, kind: str, features: Tensor, got: str
) -> None:
    call = packed_call(frozen(LAYERS[kind]()))
    monkeypatch.delattr(kernels, "library")

    with torch.no_grad(), pytest.raises(ValueError, match=f"expected torch.float32 on cpu, .*, got {got}"):
        call(features)


def test_a_stream_of_another_dtype_is_refused() -> None:
    product = Packed.of(nn.ModuleList([nn.Linear(8, 5)]), "0")

    with torch.no_grad(), pytest.raises(ValueError, match=r"expected torch.float32 on cpu, .*, got torch.float64"):
        product(torch.randn(3, 8), torch.randn(3, 5, dtype=torch.float64))


def test_weights_of_two_dtypes_are_refused() -> None:
    layers = nn.ModuleList([nn.Linear(8, 5), nn.Linear(8, 5).bfloat16()])

    with pytest.raises(ValueError, match=r"weights of one dtype on one device, got torch.bfloat16 on cpu, torch.float"):
        Packed.of(layers, "0", "1")


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


def test_weights_of_half_the_bytes_are_named_so(by: str) -> None:
    layer = frozen(SwiGLU(640, hidden=1280))
    whole = pack(layer)
    for weight in layer.parameters():
        weight.copy_(weight.bfloat16())

    assert (whole.endswith("own kernels, 9.83 MB"), pack(layer).endswith("own kernels, 4.92 MB")) == (
        (True, True) if by == "own kernels" else (False, False)
    )


def test_packing_leaves_the_names_of_weights() -> None:
    layer = frozen(SwiGLU(8, hidden=12))
    names = list(layer.state_dict())

    pack(layer)

    assert list(layer.state_dict()) == names
