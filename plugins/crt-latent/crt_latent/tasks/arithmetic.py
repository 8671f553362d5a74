"""Sums and products of numbers of several digits, least significant digit first.

Axes: b batch, d digits, p ids of a prompt, s ids of a solution, k digits of a problem. Id -1 means absent.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn import functional

from crt_latent.tasks.generated import GeneratedTask
from crt_latent.tasks.spec import Arithmetic
from crt_latent.tasks.task import Traced
from crt_latent.tasks.uniforms import below
from crt_latent.traces import Trace

BASE = 10


class Digits:
    """The ids of digits are the digits; the sign and the marks follow."""

    def __init__(self, spec: Arithmetic) -> None:
        self.spec = spec
        self.sums = spec.operation == "addition"
        self.texts = (*map(str, range(BASE)), "+" if self.sums else "×", "=", "→", ";")
        self._sign, self._equals, self._arrow, self._stop = range(BASE, BASE + 4)

    def problems(self, rows: Int[Tensor, " b"], seeds: Int[Tensor, " b"]) -> Int[Tensor, "b k"]:
        """Draws the digits of one operand, then those of the other."""
        count = self.spec.digits
        digits = below(BASE, seeds, "digits", 2 * count).view(-1, 2, count)
        digits[:, :, -1] = 1 + below(BASE - 1, seeds, "leading digits", 2)
        return digits.flatten(1)

    def key(self, problems: Int[Tensor, "b k"]) -> Int[Tensor, "b 2"]:
        """Returns both operands, the smaller one first, as their order makes no other problem."""
        numbers: Tensor = number(problems.view(-1, 2, self.spec.digits)).sort(1).values
        return numbers

    def traced(self, problems: Int[Tensor, "b k"], seeds: Int[Tensor, " b"]) -> Traced:
        """Writes traces; every problem can be used."""
        one, other = problems.chunk(2, 1)
        prompt = torch.cat((one, self._mark(one, self._sign), other, self._mark(one, self._equals)), 1)
        steps = self._added(one, other) if self.sums else self._multiplied(one, other)
        return Traced(Trace(prompt, steps, self._result(problems)), torch.ones(len(problems), dtype=torch.bool))

    def solved(self, prompt: Int[Tensor, "b p"], solution: Int[Tensor, "b s"]) -> Bool[Tensor, " b"]:
        """Returns whether the solution has the digits of the result; leading zeros may be left out."""
        result = self._result(self._read(prompt))
        width = max(result.shape[1], solution.shape[1])
        expected, given = (functional.pad(each, (0, width - each.shape[1])) for each in (result, solution))
        return (expected == given.where(given >= 0, 0)).all(1) & (solution >= 0).any(1)

    def _result(self, problems: Int[Tensor, "b k"]) -> Int[Tensor, "b s"]:
        one, other = number(problems.view(-1, 2, self.spec.digits)).unbind(1)
        return digits_of(one + other if self.sums else one * other, self.spec.solution)

    def _added(self, one: Int[Tensor, "b d"], other: Int[Tensor, "b d"]) -> Int[Tensor, "b c"]:
        """Writes `a_i b_i c_i → s_i c_{i+1} ;` for each digit."""
        carry, steps = torch.zeros_like(one[:, :1]), []
        for place in range(self.spec.digits):
            left, right = one[:, place, None], other[:, place, None]
            total = left + right + carry
            steps += [left, right, carry, self._mark(one, self._arrow)]
            carry = total // BASE
            steps += [total % BASE, carry, self._mark(one, self._stop)]
        return torch.cat(steps, 1)

    def _multiplied(self, one: Int[Tensor, "b d"], other: Int[Tensor, "b d"]) -> Int[Tensor, "b c"]:
        """Writes `b_i → a b_i → r_i ;` for each digit of the second operand, with r_i the product up to that digit."""
        factor, total, steps = number(one), torch.zeros_like(one[:, 0]), []
        for place in range(self.spec.digits):
            product = factor * other[:, place]
            total = total + product * BASE**place
            steps += [other[:, place, None], self._mark(one, self._arrow), digits_of(product, self.spec.digits + 1)]
            steps += [self._mark(one, self._arrow), digits_of(total, self.spec.solution), self._mark(one, self._stop)]
        return torch.cat(steps, 1)

    def _mark(self, like: Int[Tensor, "b d"], mark: int) -> Int[Tensor, "b 1"]:
        return torch.full_like(like[:, :1], mark)

    def _read(self, prompt: Int[Tensor, "b p"]) -> Int[Tensor, "b k"]:
        """Reads the problem of each prompt.

        Raises: ValueError if a prompt is not valid.
        """
        count = self.spec.digits
        if prompt.shape[1] != 2 * count + 2:
            raise ValueError(f"expected prompts of {2 * count + 2} ids, got {prompt.shape[1]}")
        problems = torch.cat((prompt[:, :count], prompt[:, count + 1 : -1]), 1)
        wrong = ((problems < 0) | (problems >= BASE)).any(1)
        wrong |= (prompt[:, count] != self._sign) | (prompt[:, -1] != self._equals)
        if wrong.any():
            row = int(wrong.nonzero()[0, 0])
            raise ValueError(
                f"row {row}: expected {count} digits, {self.texts[self._sign]!r}, {count} digits and '=', "
                f"got {prompt[row].tolist()}"
            )
        return problems


def number(digits: Int[Tensor, "*b d"]) -> Int[Tensor, "*b"]:
    """Returns the number with these digits."""
    return (digits * BASE ** torch.arange(digits.shape[-1])).sum(-1)


def digits_of(number: Int[Tensor, " b"], count: int) -> Int[Tensor, "b d"]:
    """Returns the first `count` digits of each number."""
    return number[:, None] // BASE ** torch.arange(count) % BASE


def arithmetic(spec: Arithmetic) -> GeneratedTask:
    """Builds the task."""
    return GeneratedTask(spec, Digits(spec))
