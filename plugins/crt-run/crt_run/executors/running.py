"""Work that an executor does, with one error whatever the executor raises."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from crt_run.faults import at_fault
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Done, Executor, Json, Work


def built(build: Callable[[], Executor]) -> Executor:
    """What `build` returns.

    Raises: RunError that names the executor, whatever it raises, but errors of the system.
    """
    with _named():
        return build()


def done(
    executor: Executor, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]
) -> Generator[Done]:
    """The pieces as an executor ends them, then those that it leaves without an answer, as failed.

    Raises: as `built`.
    """
    working: Any = ()
    left = dict.fromkeys(range(len(pieces)))
    try:
        with _named():
            working = executor.run(work, pieces, report)
            for ended in working:
                if not isinstance(ended, Done):
                    raise TypeError(f"expected pieces of work that ended, got {ended!r}")
                if not 0 <= ended.place < len(pieces):
                    raise ValueError(f"expected a place from 0 to {len(pieces) - 1}, got {ended.place}")
                left.pop(ended.place, None)
                yield ended
        for place in left:
            yield Done(place, None, "expected an answer of the executor, got none; the same command tries again")
    finally:
        if hasattr(working, "close"):
            working.close()


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except (RunError, Stopped, OSError):
        raise
    except (Exception, SystemExit) as error:
        raise RunError(f"executor: {at_fault(error)}") from error
