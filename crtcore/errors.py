"""Errors that end a command with one message."""


class RunError(Exception):
    """A run cannot go on; the message says what, where, and what to do."""


class CheckpointError(RunError):
    """A checkpoint is not what was written."""


class Stopped(Exception):
    """The run was asked to stop, and has saved."""


def in_one_line(error: BaseException) -> str:
    """An exception in one line: its type and its text."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
