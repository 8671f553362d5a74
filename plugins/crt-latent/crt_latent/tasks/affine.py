"""Chains of operations modulo a small number.

Axes: b batch, n operations, m values (one more), p ids of a prompt, s ids of a solution, k numbers of a problem.
Id -1 means absent.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from crt_latent.tasks.generated import GeneratedTask
from crt_latent.tasks.spec import AffineChain
from crt_latent.tasks.task import Traced
from crt_latent.tasks.uniforms import below
from crt_latent.traces import Trace

SIGNS = ("+", "−", "×")
PLUS, MINUS, TIMES = range(3)


class Affine:
    """The ids of values are the values; signs, marks and fillers follow."""

    def __init__(self, spec: AffineChain) -> None:
        self.spec = spec
        marks = ("=", "→", ";", "#")
        words = [f"w{index}" for index in range(spec.fillers or spec.verbosity)]
        self.texts = (*map(str, range(spec.modulus)), *SIGNS, *marks, *words)
        self._sign = spec.modulus
        self._equals, self._arrow, self._stop, self._hash = range(spec.modulus + 3, spec.modulus + 7)
        self._words = spec.modulus + 7
        self.fillers = range(self._words, len(self.texts))
        self._units = torch.tensor([unit for unit in range(spec.modulus) if math.gcd(unit, spec.modulus) == 1])

    def problems(self, rows: Int[Tensor, " b"], seeds: Int[Tensor, " b"]) -> Int[Tensor, "b k"]:
        """Draws x_0, then a sign and an operand for each operation."""
        steps, modulus = self.spec.steps, self.spec.modulus
        signs = below(len(SIGNS), seeds, "signs", steps)
        operands = below(modulus, seeds, "operands", steps)
        units = self._units[below(len(self._units), seeds, "units", steps)]
        operations = torch.stack((signs, torch.where(signs == TIMES, units, operands)), 2)  # b n 2
        return torch.cat((below(modulus, seeds, "start", 1), operations.flatten(1)), 1)

    def key(self, problems: Int[Tensor, "b k"]) -> Int[Tensor, "b k"]:
        """Returns the whole problem."""
        return problems

    def traced(self, problems: Int[Tensor, "b k"], seeds: Int[Tensor, " b"]) -> Traced:
        """Writes traces; every problem can be used."""
        steps, verbosity = self.spec.steps, self.spec.verbosity
        signs, operands = problems[:, 1::2], problems[:, 2::2]
        values = self._values(problems)  # b m
        prompt = torch.cat((self._written(problems), torch.full((len(problems), 1), self._equals)), 1)
        fillers = torch.arange(verbosity).repeat(len(problems), steps)
        if self.spec.fillers:
            fillers = below(self.spec.fillers, seeds, "fillers", steps * verbosity)
        written = torch.stack(
            (
                values[:, :-1], self._sign + signs, operands,
                torch.full_like(signs, self._arrow), values[:, 1:], torch.full_like(signs, self._stop),
            ), 2,
        )  # fmt: skip  # b n 6
        each = torch.cat((self._words + fillers.view(len(problems), steps, verbosity), written), 2)
        solution = torch.stack((torch.full_like(values[:, -1], self._hash), values[:, -1]), 1)
        return Traced(Trace(prompt, each.flatten(1), solution), torch.ones(len(problems), dtype=torch.bool))

    def solved(self, prompt: Int[Tensor, "b p"], solution: Int[Tensor, "b s"]) -> Bool[Tensor, " b"]:
        """Returns whether the solution is the value of the chain."""
        values = self._values(self._read(prompt))
        expected = torch.stack((torch.full_like(values[:, -1], self._hash), values[:, -1]), 1)
        if solution.shape[1] < 2:
            return torch.zeros(len(prompt), dtype=torch.bool)
        return (solution[:, :2] == expected).all(1) & (solution[:, 2:] < 0).all(1)

    def _values(self, problems: Int[Tensor, "b k"]) -> Int[Tensor, "b m"]:
        """Computes x_0 to x_n."""
        values = [problems[:, 0]]
        for step in range(self.spec.steps):
            sign, operand = problems[:, 1 + 2 * step], problems[:, 2 + 2 * step]
            outcomes = torch.stack((values[-1] + operand, values[-1] - operand, values[-1] * operand))
            values.append(outcomes.gather(0, sign[None])[0] % self.spec.modulus)
        return torch.stack(values, 1)

    def _written(self, problems: Int[Tensor, "b k"]) -> Int[Tensor, "b k"]:
        """Replaces signs by their ids, which follow the values."""
        written = problems.clone()
        written[:, 1::2] += self._sign
        return written

    def _read(self, prompt: Int[Tensor, "b p"]) -> Int[Tensor, "b k"]:
        """Reads the problem of each prompt.

        Raises: ValueError if a prompt is not valid.
        """
        width = 2 * self.spec.steps + 2
        if prompt.shape[1] != width:
            raise ValueError(f"expected prompts of {width} ids, got {prompt.shape[1]}")
        problems = prompt[:, :-1].clone()
        problems[:, 1::2] -= self._sign
        values, signs = problems[:, ::2], problems[:, 1::2]
        wrong = ((values < 0) | (values >= self.spec.modulus)).any(1) | ((signs < 0) | (signs >= len(SIGNS))).any(1)
        wrong |= prompt[:, -1] != self._equals
        if wrong.any():
            row = int(wrong.nonzero()[0, 0])
            raise ValueError(f"row {row}: expected alternating values and signs, then '=', got {prompt[row].tolist()}")
        return problems


def affine_chain(spec: AffineChain) -> GeneratedTask:
    """Builds the task."""
    return GeneratedTask(spec, Affine(spec))
