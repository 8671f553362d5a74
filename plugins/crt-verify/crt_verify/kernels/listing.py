"""How far the device code has come here; free of torch and of compilers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from crt_verify.kernels.build import noted
from crt_verify.kernels.names import LAWS, NAMES

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
"""What it is compiled for where nobody says otherwise."""


@attrs.frozen(kw_only=True)
class Kernel:
    """A kernel, and how far it has come on this machine with its sources as they are."""

    name: str
    summary: str
    architectures: tuple[str, ...]
    """What it is written for."""
    compiled: tuple[str, ...]
    """What it has been compiled for."""
    host_compiled: bool
    """Whether its code has been compiled for the CPU."""
    ran: str
    """What it has run on, or `not run` with the reason."""


def kernels() -> list[Kernel]:
    """A kernel for each rule, for each kind of logits, and for the commit."""
    facts = list(noted())
    parts = [(name, "probabilities", f"verdicts of `{name}`, from probabilities") for name in NAMES]
    parts += [(rows, rows, "verdicts of every rule, from logits") for rows in LAWS if rows != "probabilities"]
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
    """What a part has been compiled for."""
    return {target for fact in facts if fact.get("part") == part for target in fact.get("compiled", ())}


def _ran(facts: list[Mapping[str, Any]], part: str) -> set[str]:
    """What a part has run on, and was right."""
    return {fact["ran"] for fact in facts if fact.get("part") == part and "ran" in fact}


def _reason() -> str:
    return "nobody has asked" if Path("/dev/nvidiactl").exists() else "no GPU"
