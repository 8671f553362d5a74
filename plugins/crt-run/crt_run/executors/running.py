"""Work that an executor does, with one error whatever the executor raises."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from crt_run.faults import at_fault
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Done, ExecutorSpec, Json, Work


def done(
    executor: ExecutorSpec, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]
) -> Generator[Done]:
    """The pieces as an executor ends them.

    Raises: RunError that names the executor, whatever it raises, but errors of the system.
    """
    working: Any = ()
    try:
        working = executor.build().run(work, pieces, report)
        for ended in working:
            if not isinstance(ended, Done):
                raise TypeError(f"expected pieces of work that ended, got {ended!r}")
            yield ended
    except (RunError, Stopped, OSError):
        raise
    except (Exception, SystemExit) as error:
        raise RunError(f"executor: {at_fault(error)}") from error
    finally:
        if hasattr(working, "close"):
            working.close()
