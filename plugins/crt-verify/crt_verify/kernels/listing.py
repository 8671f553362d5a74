"""The kernels, and what they were compiled for and have run on here; free of torch and of compilers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from crt_verify.kernels.build import noted
from crt_verify.kernels.names import NAMES, ROWS

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
"""The architectures that the kernels are written for."""


@attrs.frozen(kw_only=True)
class Kernel:
    """A kernel, and its state on this machine for the current sources."""

    name: str
    summary: str
    architectures: tuple[str, ...]
    """The architectures that it is written for."""
    compiled: tuple[str, ...]
    """The architectures that it was compiled for."""
    host_compiled: bool
    """Whether its code was compiled for the CPU."""
    ran: str
    """The GPUs that it ran on, or `not run` with the reason."""


def kernels() -> list[Kernel]:
    """One kernel for each rule, for each kind of logits, and for the commit."""
    facts = list(noted())
    parts = [(name, "probabilities", f"verdicts of `{name}`, from probabilities") for name in NAMES]
    parts += [(rows, rows, "verdicts of every rule, from logits") for rows in ROWS if rows != "probabilities"]
    parts += [("commit", "commit", "keys and values of accepted nodes")]
    return [
        Kernel(
            name=name,
            summary=summary,
            architectures=ARCHITECTURES,
            compiled=tuple(sorted(_targets(facts, part))),
            host_compiled=bool(_targets(facts, "host")),
            ran=", ".join(sorted(_ran(facts, part))) or f"not run: {_reason()}",
        )
        for name, part, summary in parts
    ]


def _targets(facts: list[Mapping[str, Any]], part: str) -> set[str]:
    """The targets that a part was compiled for."""
    return {target for fact in facts if fact.get("part") == part for target in fact.get("compiled", ())}


def _ran(facts: list[Mapping[str, Any]], part: str) -> set[str]:
    """The devices that a part ran on with correct results."""
    return {fact["ran"] for fact in facts if fact.get("part") == part and "ran" in fact}


def _reason() -> str:
    return "not tested on this GPU" if Path("/dev/nvidiactl").exists() else "no GPU"
