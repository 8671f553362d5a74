"""What runs in Ray's processes: a piece of work, and the mailbox of its events.

Names and JSON texts alone cross, so nothing of this package unpickles data.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray

from crt_cli import guard
from crtcore.errors import RunError, in_one_line
from crtcore.kinds import Json
from crtcore.spec import resolve

PATIENCE = 60.0
"""Seconds for which a piece waits until an event has arrived."""


class Mailbox:
    """Events of all pieces; an actor, which takes the calls of one piece in their order."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def put(self, text: str) -> None:
        """Keeps an event."""
        self.texts.append(text)

    def take(self) -> list[str]:
        """The events since the last call."""
        texts, self.texts = self.texts, []
        return texts


def done(mailbox: Any, place: int, order: str) -> str:
    """Does a piece; the answer and the problem as JSON.

    `order` has the name of the work, the piece, the folder of the command, where it looks for modules, and threads.
    """
    last: list[Any] = []

    def send(event: Json | None) -> None:
        last[:] = [mailbox.put.remote(json.dumps([place, event]))]

    def arrived() -> None:
        with suppress(ray.exceptions.RayError):  # the command is gone, and nobody waits for events
            ray.get(last, timeout=PATIENCE)

    send(None)
    arrived()  # so that the driver knows of a second begin, however soon this process dies
    answer, problem = None, None
    with _stoppable():
        try:
            answer = _answer(json.loads(order), send)
        except BaseException as error:  # whatever a component raises, such as SystemExit
            problem = in_one_line(error)
    arrived()
    return json.dumps([answer, problem])


def _answer(order: Json, send: Any) -> Json:
    """What the work returns.

    Raises: RunError if this machine has not the folder of the command, and whatever the work raises.
    """
    folder = order["folder"]
    try:
        os.chdir(folder)
    except OSError as error:
        what = f"expected the folder of the command on {platform.node()} too ({error.strerror})"
        raise RunError(f"{folder}: {what}; share it with all machines of the cluster") from error
    sys.path.extend(path for path in order["path"] if path not in sys.path)
    import torch

    torch.set_num_threads(order["threads"])
    with guard.installed():
        answer: Json = resolve(order["work"])(order["piece"], send)
    return answer


@contextmanager
def _stoppable() -> Iterator[None]:
    """Inside, `ray.cancel`, which acts as SIGINT, sends SIGTERM, which by itself ends the process.

    The process does other pieces later, so handlers are put back.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
