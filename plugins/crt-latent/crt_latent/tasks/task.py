"""Task: a dataset of reasoning traces that can tell whether a problem is solved, and what it is made by.

Axes: b batch, n ids of a row, k numbers of a problem, p ids of a prompt, e emitted ids, s ids of a solution.
Id -1 means absent, only at the right end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Int
from torch import Tensor

from crt_latent.traces import Trace
from crtcore.kinds import Dataset


@runtime_checkable
class Task(Dataset, Protocol):
    """Problems by split and index, each solved in steps."""

    def check(self, prompt: Int[Tensor, "b p"], emitted: Int[Tensor, "b e"]) -> Bool[Tensor, " b"]:
        """True where the solution among `emitted` solves the problem of `prompt`, found out by solving it.

        `prompt` is P, with or without <think>; the solution is what stands between the first <answer> after it and the
        <end> after that. Where either is missing nothing is solved. Whatever comes before is not looked at.
        """

    def words(self, ids: Int[Tensor, " n"]) -> str:
        """A row as text; ids beyond the vocabulary are codes."""


class Traced(NamedTuple):
    """Problems as traces, for those that are fit."""

    trace: Trace
    fit: Bool[Tensor, " b"]
    """False: not a problem to keep, for a reason that takes solving it."""


@runtime_checkable  # as the kinds are, for type checkers in tests
class Maker(Protocol):
    """How the problems of one task are made, written down and solved."""

    @property
    def texts(self) -> Sequence[str]:
        """The text of each id, but for the delimiters."""

    def problems(self, rows: Int[Tensor, " b"], seeds: Int[Tensor, " b"]) -> Int[Tensor, "b k"]:
        """Problems, all in numbers; what is balanced over a split goes by the row, everything else by the seed."""

    def key(self, problems: Int[Tensor, "b k"]) -> Int[Tensor, "b j"]:
        """What two problems must differ in to be in two splits."""

    def traced(self, problems: Int[Tensor, "b k"], seeds: Int[Tensor, " b"]) -> Traced:
        """Problems written down and solved; what a problem leaves open, such as an order, goes by the seed."""

    def solved(self, prompt: Int[Tensor, "b p"], solution: Int[Tensor, "b s"]) -> Bool[Tensor, " b"]:
        """True where `solution` solves the problem of `prompt`.

        Raises: ValueError if a prompt is none of these problems.
        """
