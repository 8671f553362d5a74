"""Stochastic beam search as a race: paths arrive at exponential times, and the earliest are kept.

Axes: b batch, w nodes of a level, k children considered of a node, u uniforms, v vocabulary.
A path of probability phi arrives at rate phi. The first arrival under a node is the node's own. The gap to the next one
is exponential with the rate of what has not arrived yet, whichever ids arrived. So ids are sampled without replacement
in order of arrival, with a time for each, and no more of a node's children are considered than the beam is wide. Times
are kept as logarithms: T = exp(-G) for the perturbed log-probability G of the source, without overflow.
Source: Kool et al. (2019), arXiv:1903.06059, algorithm 1.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.drafters.children import ordered
from crt_verify.drafters.tree_builder import Level, TreeBuilder


class BeamBuilder(TreeBuilder):
    """Keeps the earliest nodes of each level, in order of arrival."""

    def __init__(self, width: int, length: int) -> None:
        self.width = width
        self.widths = (width,) * length
        self.uniforms = (2 * width, *(2 * width**2,) * (length - 1))  # an id and a time for each child considered

    def initial_state(self, rows: int, device: torch.device) -> Float[Tensor, "b 1 s"]:
        """The root has probability 1 and arrives at time 1; no order depends on that time."""
        return torch.zeros(rows, 1, 2, dtype=torch.float64, device=device)

    def expand(self, depth: int, level: Level, q: Float[Tensor, "b w v"], uniforms: Int[Tensor, "b u"]) -> Level:
        """The earliest children of all nodes."""
        identity, gap = uniforms.reshape(len(q), 2, q.shape[1], self.width).unbind(1)  # b w k
        sample = ordered(q, identity)
        log_path, log_time = level.state.unbind(-1)  # b w
        times = arrivals(log_path, log_time, sample.left, gap)
        there = (sample.ids >= 0) & (level.ids >= 0)[..., None]
        times = torch.where(there, times, torch.inf).flatten(1)  # b w*k
        normal = q.double() / q.double().sum(-1, keepdim=True)
        paths = log_path[..., None] + normal.gather(-1, sample.ids.clamp(min=0)).log()
        order = times.argsort(dim=-1, stable=True)[:, : self.width]  # b width
        ids = torch.where(there, sample.ids, -1).flatten(1).gather(1, order)
        state = torch.stack([paths.flatten(1), times], -1).gather(1, order[..., None].expand(-1, -1, 2))
        return Level(ids, order // self.width, state)


def arrivals(
    log_path: Float[Tensor, "b w"],
    log_time: Float[Tensor, "b w"],
    left: Float[Tensor, "b w k"],
    uniforms: Int[Tensor, "b w k"],
) -> Float[Tensor, "b w k"]:
    """Logarithms of the times at which a node's children arrive, one after another.

    `left` is the share of the node's row that had not arrived before each. A uniform integer stands for the middle of
    its part of [0, 1).
    """
    exponential = -torch.log1p(-(uniforms.double() + 0.5) * 2.0**-32)
    gaps = exponential.log() - log_path[..., None] - left.log()
    times = [log_time]
    for child in range(1, uniforms.shape[-1]):
        times.append(torch.logaddexp(times[-1], gaps[..., child]))
    return torch.stack(times, -1)
