"""Frozen weights in the order that matrix kernels read best, made once instead of at each product.

Where there is a compiler, layers compute by the kernels of `crt_nn.native`, else by torch's operators.

Axes: *b rows, i channels in, o channels out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.native import kernels

HINT = 16
"""Rows that oneDNN's order is made for; others are served too."""
FEW = 4
"""Fewer rows than this are faster in float32 by the weights as they lie than in oneDNN's order."""
WIDE = 16_384
"""Matrices with more rows than this, as output layers have, are faster in oneDNN's order also in float32."""


@runtime_checkable
class Packs(Protocol):
    """A layer that can compute with packed weights."""

    def pack(self) -> int:
        """Packs the layer's weights as they are now, and returns the bytes that a product then reads."""


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
    """A product with one matrix, or with several one below the other, `o i` together, and with their biases.

    Cost: one core with AVX-512, the matrices of a model of 135 million float32 weights, 1, 8, 32 rows: 33, 43, 80 ms;
    18, 25, 80 ms where the weights are bfloat16 numbers; by torch 34, 69, 97 ms.
    """

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor] = ()) -> None:
        """There are no biases, or one for each matrix."""
        super().__init__((*weights, *biases))
        whole = self.sources[0] if len(weights) == 1 else torch.cat(self.sources[: len(weights)])
        self.bias = torch.cat(self.sources[len(weights) :]) if biases else None
        self.panels = kernels.Panels(whole) if native() else None
        self._ordered = Ordered(whole, self.bias) if self.panels is None else None

    @classmethod
    def of(cls, *layers: nn.Linear) -> Packed:
        """The products of layers with the same input, of which all or none have a bias."""
        return cls([layer.weight for layer in layers], [layer.bias for layer in layers if layer.bias is not None])

    @property
    def size(self) -> int:
        """Bytes that a product reads; of float32 weights half of theirs, if all are bfloat16 numbers."""
        kept = self.sources if self.panels is None else (self.panels.values,)
        return sum(each.nbytes for each in kept)

    def __call__(
        self, features: Float[Tensor, "*b i"], onto: Float[Tensor, "*b o"] | None = None
    ) -> Float[Tensor, "*b o"]:
        """Returns the products, added to `onto` if there is one, without gradients.

        Raises: ValueError if the weights have changed.
        """
        self.check()
        if self.panels is not None:
            return kernels.product(features, self.panels, self.bias, onto)
        assert self._ordered is not None
        return self._ordered(features, onto)


class Ordered:
    """A product by torch.

    In float32 the matrix is turned: torch's product then takes less time than one in the order of oneDNN, and for one
    row as long as with the weights as they lie. In bfloat16, and for wide matrices, the order is that of oneDNN, by
    operators that torch has for its own compiler. A processor without AVX-512 has no such order for bfloat16: there the
    weights are read as they lie.
    Cost: one core with AVX-512, 10 layers of 576 channels and 1,536 hidden ones. As they lie, turned, by oneDNN: 1 row
    10.6, 10.6, 18.5 ms; 3 rows 14.5, 14.0, 19.3 ms; 8 rows 29.6, 20.6, 22.4 ms; 24 rows 31.9, 26.0, 29.5 ms.
    An output layer of 49,152 ids, 8 rows: 33.2, 16.4, 13.0 ms.
    """

    def __init__(self, whole: Float[Tensor, "o i"], bias: Float[Tensor, " o"] | None) -> None:
        self._bias = bias
        self._turned = whole.dtype == torch.float32 and len(whole) <= WIDE
        lies = whole.dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
        self._few = FEW if whole.dtype == torch.float32 else sys.maxsize if lies else 0
        self._whole = None if self._turned or not self._few else whole
        if self._turned:
            self._ordered: Tensor = whole.t().contiguous()
        elif not lies:
            self._ordered = torch.ops.mkldnn._reorder_linear_weight(whole, HINT)

    def __call__(
        self, features: Float[Tensor, "*b i"], onto: Float[Tensor, "*b o"] | None = None
    ) -> Float[Tensor, "*b o"]:
        """Returns the products, added to `onto` if there is one."""
        if self._turned:
            return self._by_turned(features, onto)
        result: Tensor
        if self._whole is not None and features.numel() < self._few * features.shape[-1]:
            result = functional.linear(features, self._whole, self._bias)
            return result if onto is None else result.add_(onto)
        if onto is None:
            result = torch.ops.mkldnn._linear_pointwise(features, self._ordered, self._bias, "none", [], "")
        else:
            result = torch.ops.mkldnn._linear_pointwise.binary(features, onto, self._ordered, self._bias, "add")
        return result

    def _by_turned(self, features: Float[Tensor, "*b i"], onto: Float[Tensor, "*b o"] | None) -> Float[Tensor, "*b o"]:
        rows, outward = features.reshape(-1, features.shape[-1]), self._ordered.shape[1]
        if onto is not None:
            product = torch.addmm(onto.reshape(-1, outward), rows, self._ordered)
            if self._bias is not None:
                product += self._bias
        elif self._bias is not None:
            product = torch.addmm(self._bias, rows, self._ordered)
        else:
            product = torch.mm(rows, self._ordered)
        return product.view(*features.shape[:-1], outward)


def native() -> bool:
    """Whether packed layers compute by kernels of our own."""
    return kernels.obstacle() is None


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
    return None if native() else _missing_operator()


def _missing_operator() -> str | None:
    """Returns that a build of torch lacks the operators of oneDNN's order, which are private."""
    try:
        with torch.inference_mode(False), torch.no_grad():
            few = torch.zeros(2, 2, dtype=torch.bfloat16)
            Ordered(few, None)(few, few)
    except (AttributeError, RuntimeError) as problem:
        return f"this torch cannot pack weights ({' '.join(str(problem).split())[:80]})"
    return None


def pack(module: nn.Module) -> str:
    """Packs the weights of every layer that can, beside those that it has, and returns what was done or why not.

    The module has this text as `packing` from then on.

    By own kernels, a row of a result has the same bits whatever rows stand beside it: a session's logits after some ids
    are the same in every bit, be they one by one, in a chain, in a tree or in a batch.
    Memory: as much again as the weights take, or half of it where float32 weights are bfloat16 numbers.
    """
    problem = obstacle(module)
    layers = [layer for layer in module.modules() if isinstance(layer, Packs)] if problem is None else []
    with torch.inference_mode(False), torch.no_grad():
        size = sum(layer.pack() for layer in layers)
    by = (
        f"by own kernels, {size / 1e6:.3g} MB"
        if native()
        else f"by torch, as there are no kernels: {kernels.obstacle()}"
    )
    done = f"packed: {len(layers)} layers, {by}" if problem is None else f"not packed: {problem}"
    vars(module)["packing"] = done
    return done


def pack_frozen(part: object) -> str:
    """Packs a part whose weights are frozen, and returns what was done; empty if it has none that can be packed."""
    if not isinstance(part, nn.Module) or obstacle(part) is not None:
        return ""
    return pack(part) if any(isinstance(layer, Packs) for layer in part.modules()) else ""
