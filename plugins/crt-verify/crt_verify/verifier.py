"""Verifier: verifies a decoder's trees by a rule's device code where it compiles, else by its torch reference.

The verdicts are equal bit for bit. Axes: b batch, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_nn.native.compiler import version
from crt_verify import rules
from crt_verify.kernels import device as gpu
from crt_verify.kernels import host
from crt_verify.tree import Trees
from crt_verify.verdict import Verdict
from crtcore.errors import RunError

BACKENDS = ("auto", "kernels", "torch")
"""The backends that can be requested."""
Verify: TypeAlias = Callable[[Trees, Tensor, Tensor, Tensor, Tensor], Verdict]
"""As `crt_verify.rules.Rule.verify`."""


class Verifier:
    """Verifies trees by a rule; the backend is chosen at the first verdict and kept for rows of that device and type.

    Raises: ValueError if there is no such rule or backend.
    """

    backend: str
    """What verifies, and why; set by the first verdict."""

    def __init__(self, name: str, keywords: Mapping[str, bool], *, nodes: int, requested: str = "auto") -> None:
        if requested not in BACKENDS:
            raise ValueError(f"verification: expected one of {', '.join(BACKENDS)}, got {requested!r}")
        self.name = name
        self.keywords = keywords
        self.nodes = nodes
        """The most nodes of a tree, the root counted."""
        self.requested = requested
        self.reference = rules.rule(name, **keywords)
        self._chosen: tuple[torch.device, torch.dtype, Verify] | None = None

    def verify(
        self,
        trees: Trees,
        p: Float[Tensor, "b m v"],
        q: Float[Tensor, "b m v"],
        accept_uniforms: Int[Tensor, "b m"],
        final_uniforms: Int[Tensor, "b m"],
    ) -> Verdict:
        """What `crt_verify.rules.Rule.verify` returns.

        Raises: RunError if the kernels are requested and cannot run, ValueError if shapes do not fit.
        """
        dtype = torch.promote_types(p.dtype, q.dtype)
        if self._chosen is None or self._chosen[:2] != (p.device, dtype):
            self._chosen = p.device, dtype, self._choose(p.device, dtype)
        return self._chosen[2](trees, p, q, accept_uniforms, final_uniforms)

    def _choose(self, device: torch.device, dtype: torch.dtype) -> Verify:
        if self.requested == "torch":
            self.backend = "torch"
            return self.reference.verify
        problem = obstacle(device, dtype, self.nodes)
        if problem is None:
            self.backend = f"kernels ({_compiled(device)})"
            return _kernels(device, self.name, self.keywords).verify
        if self.requested == "kernels":
            raise RunError(
                f"verification: expected the kernels, but they cannot run; ask for 'auto' or 'torch' instead: {problem}"
            )
        self.backend = f"torch ({_summary(problem)})"
        return self.reference.verify


def obstacle(device: torch.device, dtype: torch.dtype, nodes: int) -> str | None:
    """Why the kernels cannot verify trees of `nodes` nodes with rows of this type on this device, or None."""
    if device.type not in ("cpu", "cuda"):
        return f"there are no kernels for {device.type}"
    if device.type == "cuda" and dtype == torch.float64:
        return "the kernels take float32 on a GPU, got float64"
    return failure(device, 1) or failure(device, nodes)  # a compiler that fails is called once, not for every size


@cache
def failure(device: torch.device, nodes: int) -> str | None:
    """Why the kernels for a device do not compile, or do not run on a tree of absent nodes, or None."""
    absent = torch.full((1, nodes), -1, device=device)
    row, zeros = torch.ones(1, nodes, 1, device=device), absent + 1
    try:
        verdict = _kernels(device, "single", {}).verify(Trees(absent, absent, zeros[:, 0] + 1), row, row, zeros, zeros)
        verdict.fault.tolist()  # waits for a GPU
    except (OSError, RuntimeError) as problem:  # `NotBuilt`, no folder to compile into, no such GPU, too many nodes
        return str(problem) or type(problem).__name__
    return None


def _kernels(device: torch.device, name: str, keywords: Mapping[str, bool]) -> gpu.DeviceRule | host.HostRule:
    return gpu.rule(name, **keywords) if device.type == "cuda" else host.rule(name, **keywords)


def _compiled(device: torch.device) -> str:
    if device.type == "cuda":
        return "sm_{}{}".format(*torch.cuda.get_device_capability(device))
    return f"{version(host.COMPILER).splitlines()[0]} on {device.type}"


def _summary(problem: str) -> str:
    """The first line, and the first line that a compiler marks as an error."""
    first, *others = problem.splitlines()
    return " ".join([first, *[line.strip() for line in others if "error" in line][:1]])
