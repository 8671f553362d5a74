"""A task: a dataset of reasoning traces that checks answers, and the maker of its problems.

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
    """Problems by split and index, solved in steps."""

    def check(self, prompt: Int[Tensor, "b p"], emitted: Int[Tensor, "b e"]) -> Bool[Tensor, " b"]:
        """Returns whether the solution among `emitted` solves the problem of `prompt`, by solving the problem.

        `prompt` is P, with or without <think>. The solution is between the first <answer> and the <end> after it; if
        either is missing, the problem is not solved. Ids before <answer> are ignored.
        """

    def words(self, ids: Int[Tensor, " n"]) -> str:
        """Returns a row as text; ids beyond the vocabulary are codes."""


class Traced(NamedTuple):
    """Traces of problems, and which of them can be used."""

    trace: Trace
    fit: Bool[Tensor, " b"]
    """False: the problem is dropped, for a reason that only solving it shows."""


@runtime_checkable  # as the kinds are, for type checkers in tests
class Maker(Protocol):
    """Draws, writes and solves the problems of one task."""

    @property
    def texts(self) -> Sequence[str]:
        """The text of each id without the delimiters."""

    def problems(self, rows: Int[Tensor, " b"], seeds: Int[Tensor, " b"]) -> Int[Tensor, "b k"]:
        """Draws problems as numbers: by the row what is balanced over a split, by the seed everything else."""

    def key(self, problems: Int[Tensor, "b k"]) -> Int[Tensor, "b j"]:
        """Returns numbers that identify a problem: problems with equal keys are in the same split."""

    def traced(self, problems: Int[Tensor, "b k"], seeds: Int[Tensor, " b"]) -> Traced:
        """Writes and solves problems; the seed draws what a problem leaves open, such as an order."""

    def solved(self, prompt: Int[Tensor, "b p"], solution: Int[Tensor, "b s"]) -> Bool[Tensor, " b"]:
        """Returns whether `solution` solves the problem of `prompt`.

        Raises: ValueError if a prompt is not valid.
        """
