"""What judges a decoder's trees: a rule's device code where it can be had, its torch reference elsewhere.

The verdicts are the same in every bit. Axes: b batch, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify import rules
from crt_verify.kernels import device as gpu
from crt_verify.kernels import host
from crt_verify.kernels.build import version
from crt_verify.tree import Trees
from crt_verify.verdict import Verdict
from crtcore.errors import RunError

WANTED = ("auto", "kernels", "torch")
"""What can be asked for."""
Verify: TypeAlias = Callable[[Trees, Tensor, Tensor, Tensor, Tensor], Verdict]
"""As `crt_verify.rules.Rule.verify`."""


class Judge:
    """Judges trees by a rule; what does so is chosen at the first verdict, and kept for rows of that device and type.

    Raises: ValueError if there is no such rule, or if nothing is called as `wanted` says.
    """

    backend: str
    """What judges, and why; there from the first verdict on."""

    def __init__(self, name: str, keywords: Mapping[str, bool], *, nodes: int, wanted: str = "auto") -> None:
        if wanted not in WANTED:
            raise ValueError(f"verification: expected one of {', '.join(WANTED)}, got {wanted!r}")
        self.name = name
        self.keywords = keywords
        self.nodes = nodes
        """The most that a tree has, its root counted."""
        self.wanted = wanted
        self.reference = rules.rule(name, **keywords)
        self._chosen: tuple[torch.device, torch.dtype, Verify] | None = None

    def verify(
        self,
        trees: Trees,
        p: Float[Tensor, "b m v"],
        q: Float[Tensor, "b m v"],
        accept_coins: Int[Tensor, "b m"],
        final_coins: Int[Tensor, "b m"],
    ) -> Verdict:
        """What `crt_verify.rules.Rule.verify` gives.

        Raises: RunError if the kernels are wanted by name and cannot be had, ValueError if shapes do not fit.
        """
        dtype = torch.promote_types(p.dtype, q.dtype)
        if self._chosen is None or self._chosen[:2] != (p.device, dtype):
            self._chosen = p.device, dtype, self._choose(p.device, dtype)
        return self._chosen[2](trees, p, q, accept_coins, final_coins)

    def _choose(self, device: torch.device, dtype: torch.dtype) -> Verify:
        if self.wanted == "torch":
            self.backend = "torch"
            return self.reference.verify
        problem = obstacle(device, dtype, self.nodes)
        if problem is None:
            self.backend = f"kernels ({_compiled(device)})"
            return _kernels(device, self.name, self.keywords).verify
        if self.wanted == "kernels":
            raise RunError(
                f"verification: expected the kernels, but they cannot run; ask for 'auto' or 'torch' instead: {problem}"
            )
        self.backend = f"torch ({_line(problem)})"
        return self.reference.verify


def obstacle(device: torch.device, dtype: torch.dtype, nodes: int) -> str | None:
    """Why the kernels cannot judge rows of a type on a device, in trees of so many nodes, or None."""
    if device.type not in ("cpu", "cuda"):
        return f"there are no kernels for {device.type}"
    if device.type == "cuda" and dtype == torch.float64:
        return "the kernels take float32 on a GPU, got float64"
    return untried(device, 1) or untried(device, nodes)  # a compiler that fails is asked once, not for every size


@cache
def untried(device: torch.device, nodes: int) -> str | None:
    """Why the kernels for a device cannot be compiled, or do not run on a tree of absent nodes, or None."""
    absent = torch.full((1, nodes), -1, device=device)
    law, coins = torch.ones(1, nodes, 1, device=device), absent + 1
    try:
        verdict = _kernels(device, "single", {}).verify(Trees(absent, absent, coins[:, 0] + 1), law, law, coins, coins)
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


def _line(problem: str) -> str:
    """The first line, and the first that a compiler calls an error."""
    first, *said = problem.splitlines()
    return " ".join([first, *[line.strip() for line in said if "error" in line][:1]])
