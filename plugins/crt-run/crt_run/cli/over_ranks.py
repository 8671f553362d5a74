"""A command on ranks that torchrun starts: one of them prints, and each ends in a way that does not abort."""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec

import click

from crt_cli.console import needs, reports_errors
from crt_run.ranks import environment
from crtcore.errors import RunError

if TYPE_CHECKING:
    from crt_run.ranks.group import Group

P = ParamSpec("P")


def here() -> Group | None:
    """The ranks that this command runs on; None: it runs alone."""
    group: Group | None = click.get_current_context().meta.get(__name__)
    return group


def over_ranks(command: Callable[P, int]) -> Callable[P, None]:
    """As `reports_errors`; where torchrun has started this process, the ranks meet first, and one reports an error."""
    reported = reports_errors(_meeting(command))

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            reported(*args, **kwargs)
        except SystemExit as end:
            if environment.asked():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(end.code if isinstance(end.code, int) else 1)  # torch 2.13 with gloo may abort as Python ends
            raise

    return wrapped


def on_one_process(command: Callable[P, int | None]) -> Callable[P, None]:
    """As `reports_errors`; where torchrun has started several processes, all end, and the first reports an error."""

    @functools.wraps(command)
    def alone(*args: P.args, **kwargs: P.kwargs) -> int | None:
        if not environment.asked():
            return command(*args, **kwargs)
        if os.environ.get("RANK", "0") != "0":
            sys.exit(1)
        raise RunError(
            f"crt {click.get_current_context().info_name}: expected one process, got ranks of torchrun, each of which "
            "would do all of it; start it without torchrun, or unset RANK and WORLD_SIZE"
        )

    return reports_errors(alone)


def _meeting(command: Callable[P, int]) -> Callable[P, int]:
    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> int:
        if not environment.asked():
            return command(*args, **kwargs)
        place = environment.place()
        needs("run", "torch", "scipy", "safetensors", "filelock")
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # else each rank warns, and errors come with a stack too
        from crt_run.ranks.group import joined

        own = click.get_current_context().meta[__name__] = joined(place)
        streams = sys.stdout, sys.stderr
        try:
            if not own.first:
                sys.stdout = sys.stderr = io.StringIO()  # it would print the same as the first
            return command(*args, **kwargs)
        except BaseException as error:
            sys.stdout, sys.stderr = streams
            if not own.blamed(error):
                sys.exit(1)
            raise

    return wrapped
