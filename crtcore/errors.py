"""Errors that end a command with one message."""


class RunError(Exception):
    """A run cannot go on; the message says what, where, and what to do."""


class CheckpointError(RunError):
    """A checkpoint is not what was written."""
