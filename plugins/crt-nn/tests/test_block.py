from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from crt_nn.attention import Attention
from crt_nn.block import Stack
from crt_nn.context import AttentionContext, KVCache
from crt_nn.swiglu import SwiGLU

POSITIONS = torch.arange(3).expand(2, -1)


class Counted(nn.Module):
    """Counts its calls."""

    calls = 0

    def forward(self, features: Tensor, context: AttentionContext) -> Tensor:
        Counted.calls += 1
        return features.sin()  # the gradient needs `features`, so that recomputation calls this again


def stack(*, recompute: bool) -> Stack:
    torch.manual_seed(0)
    builders: list[Callable[[int], nn.Module]] = [partial(Attention, heads=2), partial(SwiGLU, hidden=8)]
    return Stack(8, 2, builders, recompute=recompute)


def gradients(stack: Stack) -> list[Tensor]:
    torch.manual_seed(1)
    stack(torch.randn(2, 3, 8), AttentionContext(POSITIONS)).square().sum().backward()
    return [parameter.grad for parameter in stack.parameters() if parameter.grad is not None]


def test_recomputation_changes_no_bit_of_a_gradient() -> None:
    once, twice = gradients(stack(recompute=False)), gradients(stack(recompute=True))

    assert len(once) == len(list(stack(recompute=True).parameters()))
    assert all(torch.equal(one, other) for one, other in zip(once, twice, strict=True))


@pytest.mark.parametrize(
    ("context", "calls"),
    [(AttentionContext(POSITIONS), 2), (AttentionContext(POSITIONS, cache=KVCache(3)), 1)],
    ids=["without", "with a cache"],
)
def test_a_block_is_recomputed_unless_there_is_a_cache(
    monkeypatch: pytest.MonkeyPatch, context: AttentionContext, calls: int
) -> None:
    monkeypatch.setattr(Counted, "calls", 0)
    counted = Stack(8, 1, [lambda _: Counted()], recompute=True)

    counted(torch.zeros(2, 3, 8, requires_grad=True), context).sum().backward()

    assert Counted.calls == calls


def test_a_block_is_computed_once_without_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counted, "calls", 0)

    with torch.no_grad():
        Stack(8, 1, [lambda _: Counted()], recompute=True)(torch.zeros(2, 3, 8), AttentionContext(POSITIONS))

    assert Counted.calls == 1
