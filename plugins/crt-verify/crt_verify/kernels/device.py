"""The device code on a GPU: a torch operator, compiled at first use for the GPU at hand.

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
from crt_verify.kernels.names import ROWS, number
from crt_verify.rules.base import fitting
from crt_verify.tree import Trees
from crt_verify.verdict import Verdict
from crtcore import Sampling

RESULT = 3
"""Integers of a `Result` in walk.cuh."""
LAYOUTS = (None, "path-serial", "node-parallel")
"""The order of `Layout` in launch.cuh."""
BLOCKS = (1, 2, 4, 8)
"""The numbers of blocks that a cluster can have."""


def compiler() -> str:
    """The path of the CUDA compiler: in PATH, or where it is usually installed."""
    return shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"


def library(rows: str, architectures: Sequence[str]) -> Path:
    """The operator for one of `ROWS`, compiled for some architectures (`sm_90`); torch's CPU build is enough.

    Raises: NotBuilt if there is no compiler, or if it fails.
    """
    return built("binding.cu", rows, architectures, f"-DCRT_ROWS={ROWS[rows]}", f"-DCRT_NAMES=crt_verify_{rows}")


def built(source: str, part: str, architectures: Sequence[str], *names: str) -> Path:
    """The library of a part of a source with operators, compiled for some architectures.

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
    """The loaded operator for one of `ROWS`."""
    torch.ops.load_library(library(rows, [architecture]))  # type: ignore[no-untyped-call]
    return getattr(torch.ops, f"crt_verify_{rows}").verify


@attrs.frozen
class DeviceRule:
    """A rule of `crt_verify.rules` by its kernels, on the current stream, without synchronisation.

    It can be captured in a CUDA graph after a first call, which compiles.
    """

    number: int
    """The place in `names.NAMES`."""
    layout: Literal["path-serial", "node-parallel"] | None = None
    """As `HostRule.layout`; None: all nodes are verified at once where the GPU does so in about two waves."""
    blocks: int | None = attrs.field(default=None, validator=attrs.validators.in_((None, *BLOCKS)))
    """Blocks of a cluster, which share a vocabulary; None: as many as are needed to cache its rows in shared memory.

    A GPU before sm_90 has no clusters, so 1."""

    def verify(
        self,
        trees: Trees,
        p: Float[Tensor, "b m v"],
        q: Float[Tensor, "b m v"],
        accept_uniforms: Int[Tensor, "b m"],
        final_uniforms: Int[Tensor, "b m"],
    ) -> Verdict:
        """What `crt_verify.rules.Rule.verify` returns for rows in float32 or narrower, bit for bit.

        Raises: ValueError if the shapes do not fit, or if the tensors are not on a GPU.
        """
        return self._verdict(
            trees, p.float(), q.float(), (accept_uniforms, final_uniforms), "probabilities", Sampling()
        )

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
        """As `HostRule.from_logits`.

        Raises: ValueError as that does, or if the tensors are not on a GPU.
        """
        unbanned(sampling)
        kind = f"logits_{str(target.dtype).removeprefix('torch.')}"
        if target.dtype != draft.dtype or kind not in ROWS:
            raise ValueError(
                f"expected logits of one type, float32, bfloat16 or float16, got {target.dtype} and {draft.dtype}"
            )
        return self._verdict(trees, target, draft, (accept_uniforms, final_uniforms), kind, sampling)

    def _verdict(
        self, trees: Trees, p: Tensor, q: Tensor, uniforms: tuple[Tensor, Tensor], rows: str, sampling: Sampling
    ) -> Verdict:
        fitting(trees, p, q, *uniforms)
        if not p.is_cuda:
            raise ValueError(f"expected tensors on a GPU, got {p.device}; crt_verify.kernels.host runs there")
        if others := {str(each.device) for each in (*trees, q, *uniforms)} - {str(p.device)}:
            raise ValueError(f"expected all tensors on {p.device}, got some on {', '.join(sorted(others))}")
        with torch.cuda.device(p.device):
            size, most = trees.parents.shape
            like = trees.parents.new_empty(0, dtype=torch.int64)
            verdict = Verdict(*map(like.new_empty, ((size, most - 1), (size,), (size,), (size,))))
            results = like.new_empty(size * most * RESULT + size)  # and a counter a request
            operator = loaded(rows, "sm_{}{}".format(*torch.cuda.get_device_capability()))
            tensors = (field.contiguous() for field in (*map(Tensor.long, trees), p, q, *map(Tensor.long, uniforms)))
            stream = torch.cuda.current_stream().cuda_stream
            cut = (sampling.temperature, min(sampling.top_k, p.shape[-1]), sampling.top_p, sampling.min_p)
            settings = (self.number, *cut, LAYOUTS.index(self.layout), self.blocks or 0, stream)
            operator(*settings, *tensors, results, *verdict)
        return verdict


def rule(name: str, **keywords: Any) -> DeviceRule:
    """The kernels of the rule that `crt_verify.rule` returns for the same arguments.

    Raises: ValueError as that does.
    """
    rules.rule(name, **keywords)
    return DeviceRule(number(name, **keywords))
