import importlib.metadata
import importlib.util
import math
import sys
import types

import pytest
import torch
from torch import Tensor

from crt_nn import backends

CPU_TENSOR = torch.zeros(1, 2, 1, 8)


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_visible(queries: int, keys: int) -> Tensor:
    visible = torch.rand(2, queries, keys, generator=torch.Generator().manual_seed(9)) < 0.5
    visible[..., 0] = True
    return visible


def plain(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    scores = torch.einsum("bthd,bshd->bhts", query, key) / math.sqrt(query.shape[-1])
    weights = scores.masked_fill(~visible[:, None], -torch.inf).softmax(-1)
    return torch.einsum("bhts,bshd->bthd", weights, value)


@pytest.fixture
def no_xformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def some_xformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.35")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[Tensor | object]:
    """A module of xformers' interface (b t h d, additive bias b h t s) that computes with torch."""
    biases: list[Tensor | object] = []

    def attention(query: Tensor, key: Tensor, value: Tensor, attn_bias: Tensor | object) -> Tensor:
        biases.append(attn_bias)
        shape = query.shape[1], key.shape[1]
        bias = attn_bias if isinstance(attn_bias, Tensor) else torch.ones(shape).tril().log().to(query.dtype)
        heads = (query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2))
        return torch.nn.functional.scaled_dot_product_attention(*heads, attn_mask=bias).transpose(1, 2)

    module = types.ModuleType("stand_in")
    module.memory_efficient_attention = attention  # type: ignore[attr-defined]
    module.attn_bias = types.SimpleNamespace(LowerTriangularMask=object)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stand_in", module)
    monkeypatch.setattr(backends, "XFORMERS", "stand_in")
    return biases


@pytest.mark.usefixtures("no_xformers")
def test_auto_reports_that_xformers_is_not_installed() -> None:
    assert backends.choose("auto", CPU_TENSOR) == (backends.sdpa, "sdpa (xformers is not installed)")


@pytest.mark.usefixtures("some_xformers")
def test_auto_reports_that_xformers_cannot_run_here() -> None:
    assert backends.choose("auto", CPU_TENSOR) == (backends.sdpa, "sdpa (xformers 0.0.35 cannot run on cpu)")


def test_sdpa_by_name_does_not_look_for_xformers() -> None:
    assert backends.choose("sdpa", CPU_TENSOR) == (backends.sdpa, "sdpa")


@pytest.mark.usefixtures("no_xformers")
def test_xformers_by_name_is_an_error_where_it_is_not_installed() -> None:
    with pytest.raises(ValueError, match="expected xformers to run, but xformers is not installed; ask for 'auto'"):
        backends.choose("xformers", CPU_TENSOR)


@pytest.mark.usefixtures("some_xformers")
def test_xformers_by_name_is_an_error_on_a_cpu() -> None:
    with pytest.raises(ValueError, match=r"expected xformers to run, but xformers 0\.0\.35 cannot run on cpu"):
        backends.choose("xformers", CPU_TENSOR)


@pytest.mark.usefixtures("some_xformers")
def test_an_xformers_that_fails_when_tried_is_named_with_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: torch.device, dtype: torch.dtype, width: int) -> None:
        raise RuntimeError("no kernel image\nand much more")

    monkeypatch.setattr(backends, "_try_xformers", broken)

    problem = backends.obstacle(torch.device("cuda"), torch.float64, 8)

    assert problem == "xformers 0.0.35 cannot run on cuda with heads of 8 torch.float64: no kernel image"


@pytest.mark.usefixtures("some_xformers", "stand_in")
def test_auto_uses_an_xformers_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "obstacle", lambda device, dtype, width: None)

    attend, name = backends.choose("auto", CPU_TENSOR)

    assert attend is not backends.sdpa
    assert name == "stand_in 0.0.35"


@pytest.mark.usefixtures("stand_in")
def test_xformers_is_tried_forward_and_backward_even_in_inference_mode() -> None:
    with torch.inference_mode():
        backends._try_xformers(torch.device("cpu"), torch.float32, 8)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("attend", [backends.sdpa, backends._xformers])
def test_every_backend_is_a_softmax_over_what_is_visible(attend: backends.Attend) -> None:
    query, key, value = random(2, 3, 2, 4, seed=0), random(2, 5, 2, 4, seed=1), random(2, 5, 2, 4, seed=2)
    visible = some_visible(3, 5)

    mixed = attend(query, key, value, visible)

    torch.testing.assert_close(mixed, plain(query, key, value, visible), rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("attend", [backends.sdpa, backends._xformers])
def test_no_mask_is_causal(attend: backends.Attend) -> None:
    query, key, value = (random(2, 4, 2, 4, seed=seed) for seed in range(3))
    visible = torch.ones(2, 4, 4, dtype=torch.bool).tril()

    mixed = attend(query, key, value, None)

    torch.testing.assert_close(mixed, plain(query, key, value, visible), rtol=1e-9, atol=1e-9)


def test_rows_of_a_bias_are_padded_to_a_multiple_of_8() -> None:
    visible = some_visible(3, 13)

    bias = backends.bias(visible, heads=2, dtype=torch.float32)

    assert bias.shape == (2, 2, 3, 13)
    assert bias.stride(-2) % 8 == 0
    assert torch.equal(bias[:, 1] == 0, visible)
    assert torch.equal(bias[:, 1] == -torch.inf, ~visible)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("attend", [backends.sdpa, backends._xformers])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("masked", [True, False])
def test_a_key_head_may_serve_several_query_heads(attend: backends.Attend, groups: int, masked: bool) -> None:
    query = random(2, 5, 4, 4, seed=0)
    key, value = random(2, 5, groups, 4, seed=1), random(2, 5, groups, 4, seed=2)
    visible = some_visible(5, 5) if masked else torch.ones(2, 5, 5, dtype=torch.bool).tril()
    each = [part[:, :, :, None].expand(-1, -1, -1, 4 // groups, -1).flatten(2, 3) for part in (key, value)]

    mixed = attend(query, key, value, visible if masked else None)

    torch.testing.assert_close(mixed, plain(query, *each, visible), rtol=1e-9, atol=1e-9)
