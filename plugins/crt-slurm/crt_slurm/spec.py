"""Spec of the executor, free of torch and of submitit."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

import attrs

from crtcore.kinds import ExecutorSpec
from crtcore.spec import at_least


@attrs.frozen(kw_only=True)
class Slurm(ExecutorSpec):
    """A job of a Slurm cluster for each point, by submitit.

    What has no field here is set by the variables of sbatch, such as `SBATCH_QOS` and `SBATCH_CONSTRAINT`.
    """

    implementation: ClassVar[str] = "crt_slurm.executor:Jobs"

    cluster: Literal["slurm", "local"] = "slurm"
    """`local`: processes on this machine, which submitit starts in place of Slurm."""
    folder: str = "slurm-jobs"
    """Where jobs read their work and leave answers and logs; all nodes must see it, and nobody else may write there."""
    partition: str = ""
    """The partition of the jobs; empty: the cluster's own choice."""
    account: str = ""
    """The account that is charged; empty: the cluster's own choice."""
    minutes: int = attrs.field(default=60, validator=at_least(1))
    """The time limit of a job; 90 s before it the point saves, and its job is put back into the queue."""
    cpus: int = attrs.field(default=1, validator=at_least(1))
    """Processors of a job, and its threads; their number can change the last bits of a result."""
    gpus: int = attrs.field(default=0, validator=at_least(0))
    """GPUs of a job."""
    memory: float = attrs.field(default=0.0, validator=at_least(0))
    """Memory of a job in GB; 0: the cluster's own choice."""
    parallel: int = attrs.field(default=0, validator=at_least(0))
    """Jobs that run at a time; 0: as many as the cluster lets, or one for each processor of this machine."""

    def example_in(self, folder: Path) -> Self:
        """The same with its jobs in `folder`."""
        return attrs.evolve(self, folder=str(folder))
