"""Ctrl-C and SIGTERM as exceptions, where a command has work to save or clear away."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM, as a number, came where a command is `interruptible`; `status` is that of the command."""

    def __init__(self, number: int, then: str = "") -> None:
        super().__init__(f"{'stopped' if number == signal.SIGINT else 'terminated'}{then}")
        self.status = 128 + number


@contextlib.contextmanager
def interruptible(then: str = "") -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM raise, so that work is saved and cleared away; `then` ends the command's last line.

    Raises: Interrupted, also where something inside has made another exception of it.
    """
    came: list[Interrupted] = []

    def interrupt(number: int, _: object) -> None:
        came.append(Interrupted(number, then))
        raise came[-1]

    numbers = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    except BaseException:
        if came:
            raise came[-1] from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
