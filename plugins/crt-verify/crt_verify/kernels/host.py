"""The device code on a CPU: the same sources, with one thread a block.

Axes: b batch, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, Literal

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_nn.native.compiler import processor
from crt_verify import rules
from crt_verify.kernels.build import compiled
from crt_verify.kernels.names import number
from crt_verify.rules.base import fitting
from crt_verify.tree import Tree, Trees, batch
from crt_verify.verdict import Verdict
from crtcore import Sampling

COMPILER = "g++"
FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-shared", "-fPIC"),
    *("-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno"),
)
"""With `-ffp-contract=off` a product and a sum are rounded separately, whatever the processor. The last two give up
exception flags and errno, which nobody reads, so that loops with a condition become vectors; they change no number."""
NUMBERS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
"""The order of the number types in host.cpp."""


class _Batch(ctypes.Structure):
    """`Batch` of walk.cuh."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("size", "most", "vocabulary")),
        *((name, ctypes.c_void_p) for name in ("parents", "tokens", "nodes", "target", "draft", "accept", "final")),
        ("temperature", ctypes.c_double),
        ("top_k", ctypes.c_int64),
        ("top_p", ctypes.c_double),
        ("min_p", ctypes.c_double),
    )


class _Outcome(ctypes.Structure):
    """`Outcome` of walk.cuh."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("path", "length", "final", "fault"))


@cache
def library() -> ctypes.CDLL:
    """The device code, compiled for this machine.

    Raises: NotBuilt if there is no compiler, or if it fails.
    """
    path = compiled(COMPILER, "host.cpp", FLAGS, targets=("host",), part="host", processor=processor())
    loaded = ctypes.CDLL(str(path))
    loaded.crt_branch.restype = ctypes.c_int64
    return loaded


@attrs.frozen
class HostRule:
    """A rule of `crt_verify.rules` by its device code."""

    number: int
    """The place in `names.NAMES`."""
    layout: Literal["path-serial", "node-parallel"] = "path-serial"
    """Whether a walk verifies the nodes that it reaches, or all nodes are verified first; the verdict is the same."""

    def verify(
        self,
        trees: Trees,
        p: Float[Tensor, "b m v"],
        q: Float[Tensor, "b m v"],
        accept_uniforms: Int[Tensor, "b m"],
        final_uniforms: Int[Tensor, "b m"],
    ) -> Verdict:
        """What `crt_verify.rules.Rule.verify` returns, bit for bit.

        Raises: ValueError if the shapes do not fit.
        """
        wide = torch.float64 if torch.float64 in (p.dtype, q.dtype) else torch.float32
        return self._verdict(trees, p.to(wide), q.to(wide), (accept_uniforms, final_uniforms))

    def from_logits(
        self,
        trees: Trees,
        target: Float[Tensor, "b m v"],
        draft: Float[Tensor, "b m v"],
        accept_uniforms: Int[Tensor, "b m"],
        final_uniforms: Int[Tensor, "b m"],
        *,
        sampling: Sampling,
    ) -> Verdict:
        """A verdict from logits in float32, bfloat16 or float16; a row becomes a distribution when a walk reads it.

        Raises: ValueError if shapes or types do not fit, or if `sampling` bans ids: set those logits to -inf.
        """
        unbanned(sampling)
        if target.dtype != draft.dtype or target.dtype == torch.float64 or target.dtype not in NUMBERS:
            raise ValueError(
                f"expected logits of one type, float32, bfloat16 or float16, got {target.dtype} and {draft.dtype}"
            )
        return self._verdict(trees, target, draft, (accept_uniforms, final_uniforms), sampling)

    def distribution(
        self, tree: Tree, p: Any, q: Any, *, sampling: Sampling | None = None
    ) -> dict[tuple[int, ...], float]:
        """The distribution of emitted rows for a tree without a fault, by both outcomes of every accept test.

        Rows are probabilities in float64, or logits if `sampling` is not None.
        Cost: a walk for each subset of the drafted nodes.
        """
        one, size = batch([tree]), len(tree)
        rows = [
            torch.as_tensor(distribution, dtype=torch.float64 if sampling is None else None)[None]
            for distribution in (p, q)
        ]
        structure = _batch(one, rows[0], rows[1], (one.tokens, one.tokens), sampling)
        chances, weights = torch.zeros(size, dtype=torch.float64), torch.zeros(rows[0].shape[-1], dtype=torch.int64)
        emitted: dict[tuple[int, ...], float] = {}
        for accepted in torch.cartesian_prod(torch.ones(1), *[torch.arange(2.0)] * (size - 1)).view(-1, size).byte():
            chances[:] = 0.5  # an accept test that is not made has either outcome
            pointers = (ctypes.c_void_p(x.data_ptr()) for x in (accepted, chances, weights))
            settings = (self.number, NUMBERS.index(rows[0].dtype), sampling is not None)
            end = library().crt_branch(ctypes.byref(structure), *settings, *pointers)
            branch = float(torch.where(accepted.bool(), chances, 1 - chances)[1:].prod())
            for x, each in enumerate((branch * weights.double() / weights.double().sum()).tolist()):
                if each > 0:
                    emitted[(*tree.path(end), x)] = each + emitted.get((*tree.path(end), x), 0.0)
        return emitted

    def _verdict(
        self, trees: Trees, p: Tensor, q: Tensor, uniforms: tuple[Tensor, Tensor], sampling: Sampling | None = None
    ) -> Verdict:
        fitting(trees, p, q, *uniforms)
        trees = Trees(*(field.long().contiguous() for field in trees))
        p, q, uniforms = (
            p.contiguous(),
            q.contiguous(),
            (uniforms[0].long().contiguous(), uniforms[1].long().contiguous()),
        )
        size, most = trees.parents.shape
        verdict = Verdict(*(torch.empty(shape, dtype=torch.int64) for shape in ((size, most - 1), size, size, size)))
        library().crt_verify(
            ctypes.byref(_batch(trees, p, q, uniforms, sampling)),
            self.number,
            NUMBERS.index(p.dtype),
            sampling is not None,
            self.layout == "node-parallel",
            ctypes.byref(_Outcome(*(field.data_ptr() for field in verdict))),
        )
        return verdict


def rule(name: str, **keywords: Any) -> HostRule:
    """The device code of the rule that `crt_verify.rule` returns for the same arguments.

    Raises: ValueError as that does.
    """
    rules.rule(name, **keywords)
    return HostRule(number(name, **keywords))


def unbanned(sampling: Sampling) -> None:
    """Checks that a sampling bans no ids.

    Raises: ValueError if it does.
    """
    if sampling.banned:
        raise ValueError(f"expected logits with -inf for banned ids, got {sampling.banned}")


def _batch(trees: Trees, p: Tensor, q: Tensor, uniforms: tuple[Tensor, Tensor], sampling: Sampling | None) -> _Batch:
    """The structure of a batch: pointers to its tensors, which have to outlive it."""
    cut = sampling or Sampling()
    numbers = (cut.temperature, min(cut.top_k, p.shape[-1]), cut.top_p, cut.min_p)
    return _Batch(*p.shape, *(field.data_ptr() for field in (*trees, p, q, *uniforms)), *numbers)
