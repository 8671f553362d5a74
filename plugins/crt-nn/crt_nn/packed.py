"""Frozen weights in the order that matrix kernels read best, made once instead of at each product.

Where there is a compiler, layers compute by the kernels of `crt_nn.native`, else by torch's operators.

Axes: *b rows, i channels in, o channels out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.native import kernels

HINT = 16
"""Rows that oneDNN's order is made for; others are served too."""
FEW = 4
"""Fewer rows than this are faster in float32 by the weights as they lie than in oneDNN's order."""
WIDE = 16_384
"""Matrices with more rows than this, as output layers have, are faster in oneDNN's order also in float32."""
CHANGED = "packed weights: the weights have changed since they were packed; pack them again"


@runtime_checkable
class Packs(Protocol):
    """A layer that can compute with packed weights."""

    def pack(self) -> int:
        """Packs the layer's weights as they are now, and returns the bytes that a product then reads."""


class Place(NamedTuple):
    """Where a module keeps a parameter: `Place(layer, "up.weight")`."""

    module: nn.Module
    path: str

    @property
    def parameter(self) -> nn.Parameter:
        """What is there now."""
        return self.module.get_parameter(self.path)

    def links(self) -> list[tuple[dict[str, Any], str, object]]:
        """The dictionaries from the module to the parameter, what each is asked for, and what is there now.

        Dictionaries, not modules: a module that kept itself in a cycle would be freed late.
        """
        links, module = list[tuple[dict[str, Any], str, object]](), self.module
        *parents, name = self.path.split(".")
        for parent in parents:
            links.append((module._modules, parent, module.get_submodule(parent)))
            module = module.get_submodule(parent)
        return [*links, (module._parameters, name, module.get_parameter(name))]


class Frozen:
    """Something that was made of weights, for as long as they stay as they were, and are the module's.

    What is written through `.data` into the memory that a weight has, as by `weight.data.mul_(2)`, leaves no trace in
    torch, and cannot be noticed.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        """Raises: ValueError if the weights differ in dtype or device."""
        weights = [place.parameter for place in places]
        self.sources = tuple(weight.detach() for weight in weights)
        kinds = {(weight.dtype, weight.device) for weight in weights}
        if len(kinds) > 1:
            named = sorted(f"{dtype} on {device}" for dtype, device in kinds)
            raise ValueError(f"packed weights: expected weights of one dtype on one device, got {', '.join(named)}")
        ((self.dtype, self.device),) = kinds
        links = {(id(held), name): (held, name, value) for place in places for held, name, value in place.links()}
        self._links = tuple(links.values())
        # The old memory is alive in `sources`, so that no other weight can have its address, on any device.
        self._memory = tuple((each, each.data_ptr(), each._version, each.stride()) for each in weights)

    def check(self) -> None:
        """Nothing, if the weights are as they were.

        Raises: ValueError if they have changed since, or were replaced.
        """
        for held, name, value in self._links:
            if held.get(name) is not value:
                raise ValueError(CHANGED)
        dtype = self.dtype
        for weight, address, version, stride in self._memory:
            if (
                weight.data_ptr() != address
                or weight._version != version
                or weight.dtype is not dtype
                or weight.stride() != stride
            ):
                raise ValueError(CHANGED)

    def accept(self, features: Shaped[Tensor, "..."]) -> None:
        """Nothing, if features are of the weights' dtype and on their device: kernels read their memory unasked.

        Raises: ValueError if they are not.
        """
        if features.dtype is not self.dtype or features.device != self.device:
            raise ValueError(
                f"packed weights: expected {self.dtype} on {self.device}, as the weights were when they were packed, "
                f"got {features.dtype} on {features.device}"
            )


class Packed(Frozen):
    """A product with one matrix, or with several one below the other, `o i` together, and with their biases.

    Cost: one core with AVX-512, the matrices of a model of 135 million float32 weights, 1, 8, 32 rows: 33, 43, 80 ms;
    18, 25, 80 ms where the weights are bfloat16 numbers; by torch 34, 69, 97 ms.
    """

    def __init__(self, weights: Sequence[Place], biases: Sequence[Place] = ()) -> None:
        """There are no biases, or one for each matrix.

        Raises: ValueError if they differ in dtype or device.
        """
        super().__init__((*weights, *biases))
        whole = self.sources[0] if len(weights) == 1 else torch.cat(self.sources[: len(weights)])
        self.bias = torch.cat(self.sources[len(weights) :]) if biases else None
        self.panels = kernels.Panels(whole) if native() else None
        self._ordered = Ordered(whole, self.bias) if self.panels is None else None

    @classmethod
    def of(cls, module: nn.Module, *names: str) -> Packed:
        """The products of a module's linear layers with the same input, of which all or none have a bias."""
        biased = [name for name in names if module.get_submodule(name).bias is not None]
        weights, biases = (
            [Place(module, f"{name}.{kind}") for name in each] for kind, each in (("weight", names), ("bias", biased))
        )
        return cls(weights, biases)

    @property
    def size(self) -> int:
        """Bytes that a product reads; of float32 weights half of theirs, if all are bfloat16 numbers."""
        kept = self.sources if self.panels is None else (self.panels.values,)
        return sum(each.nbytes for each in kept)

    def __call__(
        self, features: Float[Tensor, "*b i"], onto: Float[Tensor, "*b o"] | None = None
    ) -> Float[Tensor, "*b o"]:
        """Returns the products, added to `onto` if there is one, without gradients.

        Raises: ValueError if the weights have changed, or features or `onto` differ from them in dtype or device.
        """
        self.check()
        self.accept(features)
        if onto is not None:
            self.accept(onto)
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
