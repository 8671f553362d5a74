"""What torchrun says of a rank in its environment; free of torch."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from crtcore.errors import RunError

NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
COMMAND = "torchrun --local-addr 127.0.0.1 --nproc-per-node 2 -m crtcore run SPEC"


class Place(NamedTuple):
    """A rank among the others, and where they meet."""

    rank: int
    size: int
    """Ranks."""
    local: int
    """Its number on its machine."""
    host: str
    port: int
    attempt: str
    """How often torchrun has started the ranks again."""


def asked() -> bool:
    """True if this process is to be a rank."""
    return "RANK" in os.environ or "WORLD_SIZE" in os.environ


def place() -> Place:
    """The rank that this process is.

    Raises: RunError if the environment does not say it, or says what cannot be.
    """
    missing = [name for name in NAMES if not os.environ.get(name)]
    if missing:
        there = ", ".join(name for name in NAMES if name not in missing)
        raise RunError(
            f"environment: expected {', '.join(NAMES)}, as torchrun sets them, got {there} and no "
            f"{', '.join(missing)}; start the ranks with `{COMMAND}`, or unset {there}"
        )
    rank, size, port = (_number(name) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
    local = _number("LOCAL_RANK") if os.environ.get("LOCAL_RANK") else rank
    if not rank < size or not 0 < port < 2**16:
        raise RunError(
            "environment: expected RANK below WORLD_SIZE and MASTER_PORT from 1 to 65535, "
            f"got RANK={rank}, WORLD_SIZE={size}, MASTER_PORT={port}"
        )
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return Place(rank, size, local, os.environ["MASTER_ADDR"], port, attempt)


def _number(name: str) -> int:
    value = os.environ[name]
    if not (value.isascii() and value.isdigit()):
        raise RunError(f"environment: {name}: expected a whole number, got {value!r:.80}")
    return int(value)


def prefer_loopback(host: str) -> None:
    """Lets gloo use the loopback interface where ranks meet there: else it looks up the host's name, which may hang."""
    if host in ("127.0.0.1", "localhost", "::1"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
