"""The device code on a CPU: one thread for a block, the same sources.

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

from crt_verify import rules
from crt_verify.kernels.build import compiled
from crt_verify.kernels.names import number
from crt_verify.rules.judge import fitting
from crt_verify.tree import Tree, Trees, batch
from crt_verify.verdict import Verdict
from crtcore import Sampling

COMPILER = "g++"
FLAGS = ("-std=c++17", "-O2", "-shared", "-fPIC", "-ffp-contract=off")
"""A product and a sum stay two roundings: `-ffp-contract=off`."""
NUMBERS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
"""As `crt_verify` in host.cpp counts them."""


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
    loaded = ctypes.CDLL(str(compiled(COMPILER, "host.cpp", FLAGS, targets=("host",), part="host")))
    loaded.crt_branch.restype = ctypes.c_int64
    return loaded


@attrs.frozen
class HostRule:
    """A rule of `crt_verify.rules` by its device code."""

    number: int
    """Which of `names.NAMES`."""
    layout: Literal["path-serial", "node-parallel"] = "path-serial"
    """Whether a walk judges the nodes that it comes to, or all nodes are judged first; the verdict is the same."""

    def verify(
        self,
        trees: Trees,
        p: Float[Tensor, "b m v"],
        q: Float[Tensor, "b m v"],
        accept_coins: Int[Tensor, "b m"],
        final_coins: Int[Tensor, "b m"],
    ) -> Verdict:
        """What `crt_verify.rules.Rule.verify` gives, bit for bit.

        Raises: ValueError if shapes do not fit one another.
        """
        wide = torch.float64 if torch.float64 in (p.dtype, q.dtype) else torch.float32
        return self._verdict(trees, p.to(wide), q.to(wide), (accept_coins, final_coins))

    def from_logits(
        self,
        trees: Trees,
        target: Float[Tensor, "b m v"],
        draft: Float[Tensor, "b m v"],
        accept_coins: Int[Tensor, "b m"],
        final_coins: Int[Tensor, "b m"],
        *,
        sampling: Sampling,
    ) -> Verdict:
        """The same of logits in float32, bfloat16 or float16, whose rows become laws when a walk comes to them.

        Raises: ValueError if shapes or types do not fit one another, or for banned ids: those logits are to be -inf.
        """
        unbanned(sampling)
        if target.dtype != draft.dtype or target.dtype == torch.float64 or target.dtype not in NUMBERS:
            raise ValueError(
                f"expected logits of one type, float32, bfloat16 or float16, got {target.dtype} and {draft.dtype}"
            )
        return self._verdict(trees, target, draft, (accept_coins, final_coins), sampling)

    def law(self, tree: Tree, p: Any, q: Any, *, sampling: Sampling | None = None) -> dict[tuple[int, ...], float]:
        """The law of the outcome for a tree without a fault, by both branches of every coin of the device code.

        Rows are probabilities in float64, or logits if there is a sampling.
        Cost: a walk for each subset of the drafted nodes.
        """
        one, size = batch([tree]), len(tree)
        rows = [torch.as_tensor(law, dtype=torch.float64 if sampling is None else None)[None] for law in (p, q)]
        given = _given(one, rows[0], rows[1], (one.tokens, one.tokens), sampling)
        chances, weights = torch.zeros(size, dtype=torch.float64), torch.zeros(rows[0].shape[-1], dtype=torch.int64)
        law: dict[tuple[int, ...], float] = {}
        for accepted in torch.cartesian_prod(torch.ones(1), *[torch.arange(2.0)] * (size - 1)).view(-1, size).byte():
            chances[:] = 0.5  # a coin that is not asked for falls either way
            pointers = (ctypes.c_void_p(x.data_ptr()) for x in (accepted, chances, weights))
            words = (self.number, NUMBERS.index(rows[0].dtype), sampling is not None)
            end = library().crt_branch(ctypes.byref(given), *words, *pointers)
            branch = float(torch.where(accepted.bool(), chances, 1 - chances)[1:].prod())
            for x, each in enumerate((branch * weights.double() / weights.double().sum()).tolist()):
                if each > 0:
                    law[(*tree.path(end), x)] = each + law.get((*tree.path(end), x), 0.0)
        return law

    def _verdict(
        self, trees: Trees, p: Tensor, q: Tensor, coins: tuple[Tensor, Tensor], sampling: Sampling | None = None
    ) -> Verdict:
        fitting(trees, p, q, *coins)
        trees = Trees(*(field.long().contiguous() for field in trees))
        p, q, coins = p.contiguous(), q.contiguous(), (coins[0].long().contiguous(), coins[1].long().contiguous())
        size, most = trees.parents.shape
        verdict = Verdict(*(torch.empty(shape, dtype=torch.int64) for shape in ((size, most - 1), size, size, size)))
        library().crt_verify(
            ctypes.byref(_given(trees, p, q, coins, sampling)),
            self.number,
            NUMBERS.index(p.dtype),
            sampling is not None,
            self.layout == "node-parallel",
            ctypes.byref(_Outcome(*(field.data_ptr() for field in verdict))),
        )
        return verdict


def rule(name: str, **keywords: Any) -> HostRule:
    """The device code of the rule that `crt_verify.rule` makes of the same words.

    Raises: ValueError as that does.
    """
    rules.rule(name, **keywords)
    return HostRule(number(name, **keywords))


def unbanned(sampling: Sampling) -> None:
    """Lets a sampling without banned ids pass.

    Raises: ValueError otherwise.
    """
    if sampling.banned:
        raise ValueError(f"expected logits with -inf for banned ids, got them by name: {sampling.banned}")


def _given(trees: Trees, p: Tensor, q: Tensor, coins: tuple[Tensor, Tensor], sampling: Sampling | None) -> _Batch:
    """A batch as the device code is told it: where its tensors lie, which have to outlive it."""
    told = sampling or Sampling()
    words = (told.temperature, told.top_k, told.top_p, told.min_p)
    return _Batch(*p.shape, *(field.data_ptr() for field in (*trees, p, q, *coins)), *words)
