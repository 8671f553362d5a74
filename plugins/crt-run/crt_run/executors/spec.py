"""Spec of the executor, free of torch."""

from __future__ import annotations

from typing import ClassVar

import attrs

from crtcore.kinds import ExecutorSpec
from crtcore.spec import at_least


@attrs.frozen(kw_only=True)
class Local(ExecutorSpec):
    """Processes on this machine."""

    implementation: ClassVar[str] = "crt_run.executors.local:LocalProcesses"

    workers: int = attrs.field(default=0, validator=at_least(0))
    """Processes at a time; 0 is one for each core."""
    threads: int = attrs.field(default=1, validator=at_least(1))
    """Threads of each process; their number can change the last bits of a result."""
