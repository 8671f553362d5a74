"""What a rank holds and sends where a stage is trained on several devices, by DDP or by FSDP2 (`fully_shard`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from torch import nn

from crt_nn.block import Block

WAYS = ("ddp", "fsdp2")


class Memory(NamedTuple):
    """Bytes of a stage in training."""

    weights: int
    """Including frozen weights and buffers."""
    gradients: int
    optimizer: int
    activations: int | None
    """An estimate of what a step keeps for its gradient; None if the step could not be traced."""


class Weight(NamedTuple):
    """A parameter, as far as it is shared out."""

    rows: int
    """Length of its first axis, which FSDP2 splits."""
    row: int
    """Bytes of one of them."""
    learns: bool

    def shard(self, ranks: int) -> int:
        """Bytes that each rank keeps; rows that do not divide are padded."""
        return -(-self.rows // ranks) * self.row


class Layout(NamedTuple):
    """The parameters of a stage in the groups that FSDP2 gathers, and its buffers."""

    blocks: tuple[tuple[Weight, ...], ...]
    """Of each block of a stack: gathered for its forward pass, and again for its backward pass."""
    rest: tuple[Weight, ...]
    """Gathered once a step, and kept between the passes."""
    buffers: int
    """Bytes, which each rank keeps whole."""


class Share(NamedTuple):
    """What one rank holds in training, in bytes, and what it sends in a step."""

    weights: int
    gradients: int
    optimizer: int
    activations: int | None
    buffers: int
    """Gathered weights and what is about to be sent, at the peak."""
    sent: float
    """Bytes of a step; the rank receives as many."""

    @property
    def memory(self) -> int | None:
        """Bytes at the peak; None if the activations are not known."""
        known = self.weights + self.gradients + self.optimizer + self.buffers
        return None if self.activations is None else known + self.activations


def layout(modules: Iterable[nn.Module]) -> Layout:
    """The groups of the parts of a stage; a parameter belongs to the first block that has it, or to the rest."""
    parts = nn.ModuleList(modules)
    seen: set[int] = set()

    def group(module: nn.Module) -> tuple[Weight, ...]:
        new = [weight for weight in module.parameters() if id(weight) not in seen]
        seen.update(map(id, new))
        return tuple(_weight(weight) for weight in new)

    blocks = tuple(group(module) for module in parts.modules() if isinstance(module, Block))
    return Layout(blocks, group(parts), sum(each.nbytes for each in parts.buffers()))


def _weight(weight: nn.Parameter) -> Weight:
    rows = weight.shape[0] if weight.ndim else 1
    return Weight(rows, weight.nbytes // max(rows, 1), weight.requires_grad)


def share(memory: Memory, groups: Layout, ranks: int, way: str) -> Share:
    """What each of `ranks` ranks holds and sends by a way of `WAYS`; `memory` is that of its share of the batch.

    DDP: everything whole, and a ring's all-reduce of the gradients, which are views of what is sent, as in training.
    FSDP2: shards; all-gathers of the weights and a reduce-scatter of the gradients, each around a ring.
    Source: Patarasuk and Yuan (2009), doi:10.1016/j.jpdc.2008.09.002, for what a ring sends; `bench/rank_memory.py`
    measures what torch holds.
    """
    if way == "ddp":
        return Share(*memory, buffers=0, sent=2 * (ranks - 1) / ranks * memory.gradients)
    everything = [*groups.rest, *(weight for block in groups.blocks for weight in block)]
    kept, learning = _shards(everything, ranks), _shards(_learning(everything), ranks)
    gathered = 2 * kept - _shards(groups.rest, ranks)
    buffers = _gathered(groups, ranks, learning, memory.activations or 0)
    sent = (ranks - 1) * (gathered + learning)
    return Share(kept + groups.buffers, learning, 2 * learning, memory.activations, buffers, sent)


def _gathered(groups: Layout, ranks: int, gradients: int, activations: int) -> int:
    """Bytes of gathered weights, unreduced gradients and their buffers that the peak has above all else.

    At the end of the forward pass: the rest, a block, the next one, and a buffer. In the backward pass one buffer more,
    while no gradient is there yet. At its end: the rest with its gradients and their buffer, without activations.
    """
    rest = ranks * _shards(groups.rest, ranks)
    block = ranks * max((_shards(each, ranks) for each in groups.blocks), default=0)
    inside = rest + 3 * block + max(0, block - gradients) if groups.blocks else 2 * rest
    return max(inside, rest + 2 * ranks * _shards(_learning(groups.rest), ranks) - activations)


def _shards(weights: Iterable[Weight], ranks: int) -> int:
    return sum(weight.shard(ranks) for weight in weights)


def _learning(weights: Sequence[Weight]) -> list[Weight]:
    return [weight for weight in weights if weight.learns]
