"""Calls of plugins' code: what it raises is `Failed`.

A library leaves signals, timers and streams alone. A command owns its process, and guards it (`crt_cli.guard`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from crtcore.errors import in_one_line

Errors = tuple[type[Exception], ...]


class Failed(Exception):
    """What a plugin did instead of returning, in one line."""


class Guard(Protocol):
    """What makes the calls."""

    def call(self, plugin: str, code: Callable[[], Any], *, limited: bool, expected: Errors) -> Any:
        """What `code` returns; see `call`."""


class _Plain:
    """The guard of a library. It lets KeyboardInterrupt through, which is also how Ctrl-C arrives."""

    def call(self, plugin: str, code: Callable[[], Any], *, limited: bool, expected: Errors) -> Any:
        try:
            return code()
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, *expected)):
                raise
            raise Failed(in_one_line(error)) from error


def call(
    plugin: str, function: Callable[..., Any], *args: Any, limited: bool = True, expected: Errors = ()
) -> Any:  # fmt: skip
    """What `function`, code of a `plugin`, returns; a command may limit its time if it is `limited`.

    Raises: what is `expected`; Failed for all else, which is its cause; KeyboardInterrupt where no guard is installed.
    """
    with guarded() as guard:
        return guard.call(plugin, partial(function, *args), limited=limited, expected=expected)


def guarded() -> AbstractContextManager[Guard]:
    """Many calls inside it are cheap, as one guard makes all of them."""
    return _opens[-1]()


@contextlib.contextmanager
def installed(opens: Callable[[], AbstractContextManager[Guard]]) -> Iterator[None]:
    """As long as it is open, calls go through the guard that `opens()` opens."""
    _opens.append(opens)
    try:
        yield
    finally:
        _opens.pop()


_opens: list[Callable[[], AbstractContextManager[Guard]]] = [lambda: contextlib.nullcontext(_Plain())]
"""What opens a guard; the last one does."""
