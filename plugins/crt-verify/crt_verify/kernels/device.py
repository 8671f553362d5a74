"""The device code on a GPU: an operator of torch, compiled at first use for the GPU that is there.

Axes: b batch, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify import rules
from crt_verify.kernels.build import compiled
from crt_verify.kernels.host import unbanned
from crt_verify.kernels.names import LAWS, number
from crt_verify.rules.judge import fitting
from crt_verify.tree import Trees
from crt_verify.verdict import Verdict
from crtcore import Sampling

JUDGED = 3
"""Integers of `Judged` in walk.cuh."""
LAYOUTS = (None, "path-serial", "node-parallel")
"""As `Layout` in launch.cuh."""
BLOCKS = (1, 2, 4, 8)
"""That a cluster can have."""


def compiler() -> str:
    """The CUDA compiler: that in PATH, or else where it is usually installed."""
    return shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"


def library(rows: str, architectures: Sequence[str]) -> Path:
    """The operator for one of `LAWS`, compiled for some architectures (`sm_90`); torch's CPU build suffices for that.

    Raises: NotBuilt if there is no compiler, or if it fails.
    """
    return built("binding.cu", rows, architectures, f"-DCRT_LAWS={LAWS[rows]}", f"-DCRT_NAMES=crt_verify_{rows}")


def built(source: str, part: str, architectures: Sequence[str], *names: str) -> Path:
    """A part of a source with operators, compiled for some architectures.

    Raises: NotBuilt if there is no compiler, or if it fails.
    """
    folder = Path(torch.__file__).parent
    targets = [f"-gencode=arch={each.replace('sm', 'compute')},code={each}" for each in architectures]
    flags = (
        *("-shared", "-std=c++20", "-fmad=false", "-Xcompiler=-fPIC", *targets),  # a product and a sum: two roundings
        *("-DTORCH_TARGET_VERSION=0x020a000000000000", f"-I{folder / 'include'}"),  # as of torch 2.10
        *names,
        *(f"-L{folder / 'lib'}", "-ltorch_cpu", "-lc10"),
    )
    return compiled(compiler(), source, flags, targets=architectures, part=part)


@cache
def loaded(rows: str, architecture: str) -> Any:
    """The operator for one of `LAWS`, ready to be called."""
    torch.ops.load_library(library(rows, [architecture]))  # type: ignore[no-untyped-call]
    return getattr(torch.ops, f"crt_verify_{rows}").verify


@attrs.frozen
class DeviceRule:
    """A rule of `crt_verify.rules` by its kernels, on the current stream, with nothing waited for.

    It can be captured in a CUDA graph once it has been called, as the first call compiles.
    """

    number: int
    """Which of `names.NAMES`."""
    layout: Literal["path-serial", "node-parallel"] | None = None
    """As `HostRule.layout`; None: all nodes are judged at once where that takes the GPU about two turns."""
    blocks: int | None = attrs.field(default=None, validator=attrs.validators.in_((None, *BLOCKS)))
    """Blocks, a cluster, that share a request's vocabulary, or a node's; None: as many as hold its rows near.

    A GPU before sm_90 has no clusters, so one."""

    def verify(
        self,
        trees: Trees,
        p: Float[Tensor, "b m v"],
        q: Float[Tensor, "b m v"],
        accept_coins: Int[Tensor, "b m"],
        final_coins: Int[Tensor, "b m"],
    ) -> Verdict:
        """What `crt_verify.rules.Rule.verify` gives for rows in float32, or narrower, bit for bit.

        Raises: ValueError if shapes do not fit one another, or if the tensors are on no GPU.
        """
        return self._verdict(trees, p.float(), q.float(), (accept_coins, final_coins), "probabilities", Sampling())

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
        """The same of logits, as `HostRule.from_logits` has it.

        Raises: ValueError as that does, or if the tensors are on no GPU.
        """
        unbanned(sampling)
        kind = f"logits_{str(target.dtype).removeprefix('torch.')}"
        if target.dtype != draft.dtype or kind not in LAWS:
            raise ValueError(
                f"expected logits of one type, float32, bfloat16 or float16, got {target.dtype} and {draft.dtype}"
            )
        return self._verdict(trees, target, draft, (accept_coins, final_coins), kind, sampling)

    def _verdict(
        self, trees: Trees, p: Tensor, q: Tensor, coins: tuple[Tensor, Tensor], rows: str, sampling: Sampling
    ) -> Verdict:
        fitting(trees, p, q, *coins)
        if not p.is_cuda:
            raise ValueError(f"expected tensors on a GPU, got {p.device}; crt_verify.kernels.host runs there")
        if found := {str(each.device) for each in (*trees, q, *coins)} - {str(p.device)}:
            raise ValueError(f"expected all tensors on {p.device}, got some on {', '.join(sorted(found))}")
        with torch.cuda.device(p.device):
            size, most = trees.parents.shape
            none = trees.parents.new_empty(0, dtype=torch.int64)
            verdict = Verdict(*map(none.new_empty, ((size, most - 1), (size,), (size,), (size,))))
            judged = none.new_empty(size * most * JUDGED + size)  # and a number a request
            operator = loaded(rows, "sm_{}{}".format(*torch.cuda.get_device_capability()))
            given = (field.contiguous() for field in (*map(Tensor.long, trees), p, q, *map(Tensor.long, coins)))
            stream = torch.cuda.current_stream().cuda_stream
            law = (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p)
            words = (self.number, *law, LAYOUTS.index(self.layout), self.blocks or 0, stream)
            operator(*words, *given, judged, *verdict)
        return verdict


def rule(name: str, **keywords: Any) -> DeviceRule:
    """The kernels of the rule that `crt_verify.rule` makes of the same words.

    Raises: ValueError as that does.
    """
    rules.rule(name, **keywords)
    return DeviceRule(number(name, **keywords))
