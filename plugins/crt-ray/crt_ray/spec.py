"""Spec of the executor, free of torch and of Ray."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import attrs

from crtcore.kinds import ExecutorSpec
from crtcore.spec import FieldError, above, at_least

PLACE = re.compile(r"local|auto|(\[[0-9a-fA-F:]+\]|[\w.-]+):[0-9]{1,5}")
"""The addresses that are understood."""


def _place(_: Any, attribute: attrs.Attribute[Any], value: str) -> None:
    if not PLACE.fullmatch(value):
        raise FieldError(attribute.name, f"expected 'local', 'auto' or HOST:PORT, got {value!r}")


@attrs.frozen(kw_only=True)
class Ray(ExecutorSpec):
    """A task of Ray for each point."""

    implementation: ClassVar[str] = "crt_ray.executor:RayTasks"

    address: str = attrs.field(default="local", validator=_place)
    """HOST:PORT of a cluster that this machine is part of; `auto`: RAY_ADDRESS, or the one that was started here;
    `local`: Ray is started here, and ends with the command."""
    cpus: float = attrs.field(default=1.0, validator=above(0))
    """Processors that Ray reserves for a point."""
    gpus: float = attrs.field(default=0.0, validator=at_least(0))
    """GPUs that Ray reserves for a point, which sees no others."""
    memory: int = attrs.field(default=0, validator=at_least(0))
    """Bytes of memory that Ray reserves for a point; 0: none."""
    retries: int = attrs.field(default=3, validator=at_least(0))
    """How often a point goes on elsewhere after its process has died."""
    threads: int = attrs.field(default=1, validator=at_least(1))
    """Threads of each process; their number can change the last bits of a result."""
