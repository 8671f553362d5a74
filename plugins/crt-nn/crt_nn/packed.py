"""Frozen weights in the order that the CPU's matrix kernels read them, packed once instead of at each product.

Axes: *b rows, i channels in, o channels out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

FEW = 3
"""Fewer rows than this are faster by torch's own product in float32, which then reads weights as they lie."""
HINT = 16
"""Rows that weights are packed for; others are served too."""


@runtime_checkable
class Packs(Protocol):
    """A layer that can compute with packed weights."""

    def pack(self) -> None:
        """Packs the layer's weights as they are now."""


class Frozen:
    """Something that was made of weights, for as long as they stay as they were."""

    def __init__(self, sources: Sequence[Tensor]) -> None:
        self.sources = tuple(source.detach() for source in sources)
        self._versions = self._now()

    def check(self) -> None:
        """Nothing, if the weights are as they were.

        Raises: ValueError if they have changed since.
        """
        if self._versions != self._now():
            raise ValueError("packed weights: the weights have changed since they were packed; pack them again")

    def _now(self) -> tuple[tuple[int, int], ...]:
        return tuple((source.data_ptr(), source._version) for source in self.sources)


class Packed(Frozen):
    """A product with one matrix, or with several one below the other, `o i` together, and with their biases."""

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor] = ()) -> None:
        """There are no biases, or one for each matrix."""
        super().__init__((*weights, *biases))
        matrices, added = self.sources[: len(weights)], self.sources[len(weights) :]
        self.whole = matrices[0] if len(matrices) == 1 else torch.cat(matrices)
        self.bias = torch.cat(added) if added else None
        self._packed = torch.ops.mkldnn._reorder_linear_weight(self.whole, HINT)

    @classmethod
    def of(cls, *layers: nn.Linear) -> Packed:
        """The products of layers with the same input, of which all or none have a bias."""
        return cls([layer.weight for layer in layers], [layer.bias for layer in layers if layer.bias is not None])

    def __call__(
        self, features: Float[Tensor, "*b i"], onto: Float[Tensor, "*b o"] | None = None
    ) -> Float[Tensor, "*b o"]:
        """Returns the products, added to `onto` if there is one, without gradients.

        Cost: for 8 rows of 1,536 channels and as many products as in 576, adding by itself takes 4 % more.
        Raises: ValueError if the weights have changed.
        """
        self.check()
        if features.dtype == torch.float32 and features.numel() < FEW * features.shape[-1]:
            product = functional.linear(features, self.whole, self.bias)
            return product if onto is None else product.add_(onto)
        result: Tensor
        if onto is None:
            result = torch.ops.mkldnn._linear_pointwise(features, self._packed, self.bias, "none", [], "")
        else:
            result = torch.ops.mkldnn._linear_pointwise.binary(features, onto, self._packed, self.bias, "add")
        return result


def obstacle(module: nn.Module) -> str | None:
    """Returns why a module's weights cannot be packed, or None."""
    weights = list(module.parameters())
    if any(weight.requires_grad for weight in weights):
        return "its weights are trained"
    if any(weight.device.type != "cpu" for weight in weights):
        return "its weights are not on a CPU"
    if any(weight.dtype not in (torch.float32, torch.bfloat16) for weight in weights):
        return "its weights are neither float32 nor bfloat16"
    if any(weight.is_inference() for weight in weights):
        return "its weights were made in inference mode, where changes leave no trace"
    try:
        with torch.inference_mode(False), torch.no_grad():
            Packed([torch.zeros(2, 2)])(torch.zeros(FEW, 2), torch.zeros(FEW, 2))
    except (AttributeError, RuntimeError) as problem:  # private operators, which a build of torch may not have
        return f"this torch cannot pack weights ({' '.join(str(problem).split())[:80]})"
    return None


def pack(module: nn.Module) -> str:
    """Packs the weights of every layer that can, beside those that it has, and returns what was done or why not.

    The module has this text as `packing` from then on.

    Memory: as much again as the weights take.
    """
    problem = obstacle(module)
    layers = [layer for layer in module.modules() if isinstance(layer, Packs)] if problem is None else []
    for layer in layers:
        with torch.inference_mode(False), torch.no_grad():
            layer.pack()
    done = f"packed: {len(layers)} layers" if problem is None else f"not packed: {problem}"
    vars(module)["packing"] = done
    return done
