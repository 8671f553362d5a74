"""Race: arrival times of every id at every position, and the first to arrive.

An id of probability p arrives at time E / p, where E is exponential. The first to arrive has the distribution p. This
is the Gumbel-max trick, as -log E is a Gumbel variable.
Axes: b batch, n positions, m vectors of integers, k children of a node, v vocabulary.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crtcore import Noise

OUTPUT, OWNER, FIRST = 0, 1, 2
"""Vectors of integers of a position: for the output, for the child that shares its time, and for the first child."""


class Race:
    """Integers of 32 bits for each id, addressed by seed, position and vector: no batch, round or draft changes them.

    Cost: for b rows, n positions and k vectors, the integers of b n k v ids.
    """

    def __init__(self, seeds: Int[Tensor, " b"], vocabulary: int) -> None:
        self.noise = Noise(seeds[:, None], "race")
        self.vocabulary = vocabulary

    def integers(self, positions: Int[Tensor, "b n"], vector: int = OUTPUT) -> Int[Tensor, "b n v"]:
        """The integers of a vector at some positions."""
        halves = self.noise.shorts(2 * self.vocabulary, positions, vector)
        return halves[..., 0::2] | halves[..., 1::2] << 16

    def draw(self, p: Float[Tensor, "b n v"], positions: Int[Tensor, "b n"]) -> Int[Tensor, "b n"]:
        """The ids that are the output at some positions, under the rows p; any id where a row is no distribution."""
        return first(exponentials(self.integers(positions)), p)


def exponentials(integers: Int[Tensor, "*b v"]) -> Float[Tensor, "*b v"]:
    """Exponential variables in float64, each the middle of its part of [0, 1) under the quantile function."""
    return -torch.log1p(-(integers.double() + 0.5) * 2.0**-32)


def first(times: Float[Tensor, "... v"], rates: Float[Tensor, "... v"]) -> Int[Tensor, "..."]:
    """The id with the least time over rate, the smaller one of equals; a rate of 0 never arrives."""
    return (times / rates.double()).argmin(-1)


def sibling_times(integers: Int[Tensor, "*b m v"]) -> Float[Tensor, "*b k v"]:
    """Independent exponential variables of k children, whose least is the output's variable over k.

    The least of k exponential variables is exponential with k times the rate, is each one's with equal chance, and
    the others exceed it by exponential amounts. So the m = k + 2 vectors are the output's, one that chooses the child
    that has its time at each id, and one for each child of how much later it is elsewhere. The output does not depend
    on k.
    """
    output, owner, own = integers[..., OUTPUT, :], integers[..., OWNER, :], integers[..., FIRST:, :]
    count = own.shape[-2]
    child = torch.arange(count, device=integers.device)[:, None]  # k 1
    later = torch.where((owner * count >> 32)[..., None, :] == child, 0, exponentials(own))
    return (exponentials(output) / count)[..., None, :] + later
