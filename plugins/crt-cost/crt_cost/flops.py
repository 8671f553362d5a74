"""FLOPs of training: of a prior by a formula, of any loss by counting."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from crt_cost.trace import flop_counter
from crt_nn.attention import Attention


def non_embedding_parameters(prior: nn.Module) -> int:
    """Number of parameters without embeddings, which multiply nothing; the output layer counts."""
    tables = {
        id(each) for module in prior.modules() if isinstance(module, nn.Embedding) for each in module.parameters()
    }
    return sum(each.numel() for each in prior.parameters() if id(each) not in tables)


def sample_flops(prior: nn.Module, ids: int) -> int:
    """FLOPs of training on one sample: (6 parameters + 12 width ids for each attention layer) ids.

    A multiply and an add for each parameter, three times for forward and backward; attention likewise for its two
    products, masked pairs included. The parameters are those outside embeddings.
    Source: Kaplan et al. (2020), arXiv:2001.08361, section 2.1; Chowdhery et al. (2022), arXiv:2204.02311, appendix B.
    """
    widths = sum(module.outward.out_features for module in prior.modules() if isinstance(module, Attention))
    return (6 * non_embedding_parameters(prior) + 12 * widths * ids) * ids


def counted(loss: Callable[[], Tensor]) -> int:
    """FLOPs of the matrix products and convolutions in a loss and its gradient."""
    with flop_counter() as counter, sdpa_kernel(SDPBackend.MATH):  # the only attention counted on every device
        loss().backward()  # type: ignore[no-untyped-call]
    flops: int = counter.get_total_flops()
    return flops
