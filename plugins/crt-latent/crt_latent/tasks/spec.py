"""Specs of the generated datasets of reasoning traces, free of torch."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar

import attrs

from crtcore.kinds import DatasetSpec
from crtcore.spec import at_least

if TYPE_CHECKING:
    from crt_latent.tasks.generated import GeneratedTask

DELIMITERS = 3
"""Ids of a row that are between its parts and behind them."""


@attrs.frozen(kw_only=True)
class TaskSpec(DatasetSpec):
    """Base of every generated task's spec: sizes of splits and a seed.

    A hash of the problem, whatever the seed, says which split it can be in, so that no problem is in two of them.
    Inside a split problems are independent draws, and one may come twice.
    """

    form: ClassVar[str] = "trace"

    train: int = attrs.field(default=20000, validator=at_least(1))
    """Problems to train on."""
    validation: int = attrs.field(default=1000, validator=at_least(1))
    """Problems held out for choices."""
    test: int = attrs.field(default=2000, validator=at_least(1))
    """Problems held out for the final numbers."""
    seed: int = 0
    """Other problems for another one; the run's own seed changes none."""

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Ids of a row, shorter ones filled up with -1."""
        return (self.longest + DELIMITERS,)

    @property
    @abc.abstractmethod
    def longest(self) -> int:
        """The most ids of prompt, steps and solution together."""


@attrs.frozen(kw_only=True)
class AffineChain(TaskSpec):
    """A chain of operations modulo a small number, every step told among words that say nothing.

    x_0 is uniform below `modulus`, each operation uniform over +, − and ×, its operand uniform (over the units for ×).
    The prompt is `x_0 op_1 a_1 … op_n a_n =`, step i is fillers and `x_{i-1} op_i a_i → x_i ;`, the solution `# x_n`.
    With p the modulus and u its units, a problem has log2 p + steps · (log2 3 + (2 log2 p + log2 u) / 3) bits, fillers
    have none, or steps · verbosity · log2 fillers; given the problem, nothing else has any.
    """

    modulus: int = attrs.field(default=10, validator=at_least(2))
    """Values are below this, one id each."""
    steps: int = attrs.field(default=4, validator=at_least(1))
    """Operations of a problem."""
    verbosity: int = attrs.field(default=2, validator=at_least(0))
    """Filler words before each step; a step has six ids more."""
    fillers: int = attrs.field(default=0, validator=at_least(0))
    """Words that every filler is uniform over; 0: the same words in every step."""

    @property
    def longest(self) -> int:
        """Two ids an operation and two more, the steps, and two of the solution."""
        return 2 * self.steps + 2 + self.steps * (self.verbosity + 6) + 2

    def build(self) -> GeneratedTask:
        """The problems, drawn when they are taken."""
        from crt_latent.tasks.affine import Affine
        from crt_latent.tasks.generated import GeneratedTask

        return GeneratedTask(self, Affine(self))
