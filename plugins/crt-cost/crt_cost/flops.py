"""Floating-point operations of training: of a prior by a formula, of anything by counting a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from crt_nn.attention import Attention


def parameters(prior: nn.Module) -> int:
    """Weights without the embeddings, which are looked up; the output layer counts."""
    tables = {
        id(each) for module in prior.modules() if isinstance(module, nn.Embedding) for each in module.parameters()
    }
    return sum(each.numel() for each in prior.parameters() if id(each) not in tables)


def sample_flops(prior: nn.Module, ids: int) -> int:
    """FLOPs of training on one sample: (6 parameters + 12 width ids for each attention layer) ids.

    A multiply and an add for each weight, thrice for forward and backward; attention likewise for its two products, no
    half taken off for what is masked.
    Source: Kaplan et al. (2020), arXiv:2001.08361, section 2.1; Chowdhery et al. (2022), arXiv:2204.02311, appendix B.
    """
    widths = sum(module.outward.out_features for module in prior.modules() if isinstance(module, Attention))
    return (6 * parameters(prior) + 12 * widths * ids) * ids


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what torch knows the FLOPs of.

    `FlopCounterMode` does so by module, and for that hooks into the graph so that no gradient can be taken inside.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops: int = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Does it, and counts it."""
        found = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.flops += formula(*args, **(kwargs or {}), out_val=found)
        return found


def counted(loss: Callable[[], Tensor]) -> int:
    """FLOPs of the matrix products and convolutions in a loss and its gradient."""
    counter = Counter()
    with counter, sdpa_kernel(SDPBackend.MATH):  # the only attention that is counted on every device
        loss().backward()  # type: ignore[no-untyped-call]
    return counter.flops
