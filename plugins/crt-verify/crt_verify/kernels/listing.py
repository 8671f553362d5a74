"""How far the device code has come here; free of torch and of compilers."""

from __future__ import annotations

from pathlib import Path

from crt_verify.kernels.build import noted
from crt_verify.kernels.names import NAMES
from crtcore.hooks import Kernel

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
"""What it is compiled for where nobody says otherwise."""


def kernels() -> list[Kernel]:
    """A kernel for each rule."""
    facts = list(noted())
    compiled = {target for fact in facts for target in fact.get("compiled", ())}
    ran = sorted({fact["ran"] for fact in facts if "ran" in fact})
    return [
        Kernel(
            name=name,
            summary=f"verdicts of `{name}`, from probabilities and from logits",
            architectures=ARCHITECTURES,
            compiled=tuple(sorted(compiled - {"host"})),
            host_compiled="host" in compiled,
            ran=", ".join(ran) or f"not run: {_reason()}",
        )
        for name in NAMES
    ]


def _reason() -> str:
    return "nobody has asked" if Path("/dev/nvidiactl").exists() else "no GPU"
