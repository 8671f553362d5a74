"""Weights, gradients and moments cut over ranks, by torch's `fully_shard`; files hold them whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from crt_nn.ranks import Share
from crt_run.training.layout import blocks

_scatter: Any = getattr(distributed, "reduce_scatter_single", None) or distributed.reduce_scatter_tensor
"""The first since torch 2.13, which deprecates the second."""


class Weighed:
    """Gradients of the batch in place of torch's mean over ranks: those of each rank by its rows, summed.

    Losses stay as they are, so that a backward pass that communicates (`crt_nn.ranks`) weighs gradients once.
    """

    def __init__(self, share: Share) -> None:
        self._factor = share.parts * share.weight

    def allocate(self, size: Sequence[int], *, dtype: torch.dtype, device: torch.device) -> Shaped[Tensor, "*size"]:
        """Memory for what is sent, and for what comes."""
        return torch.empty(*size, dtype=dtype, device=device)

    def __call__(
        self, output_tensor: Tensor, input_tensor: Tensor, group: Any, op: Any, async_op: bool = False
    ) -> distributed.Work | None:
        """Scatters what `op` and torch's own division make the mean of."""
        work: distributed.Work | None = _scatter(output_tensor, input_tensor.mul_(self._factor), op, group, async_op)
        return work


class Sharded:
    """Each rank has a part of every weight of a stage's only part, which has the same first values on all ranks.

    `share` is the rank's of a step's batch.

    Raises: RunError if the stage, called `name`, cannot be cut.
    """

    cut = True

    def __init__(self, name: str, modules: Mapping[str, nn.Module], share: Share) -> None:
        for block in blocks(name, modules):
            fully_shard(block)
        for module in modules.values():
            if any(True for _ in module.parameters()):
                fully_shard(module)
            weighed: Any = Weighed(share)  # torch's class of it is private
            for each in module.modules():
                if isinstance(each, FSDPModule):
                    each.set_custom_reduce_scatter(weighed)

    def values(self, module: nn.Module) -> dict[str, Tensor]:
        """The state: of what is cut, this rank's part.

        Gathered parameters are dropped first: changes of those are lost, and they would stand in the state.
        """
        for each in module.modules():
            if isinstance(each, FSDPModule):
                each.reshard()
        state: dict[str, Tensor] = module.state_dict()
        return state

    def load(self, module: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Loads a state, of which each rank takes its part."""
        here = self.values(module)
        module.load_state_dict({name: self.own(value, here.get(name, value)) for name, value in state.items()})

    def own(self, value: Tensor, like: Tensor) -> Shaped[Tensor, "..."]:
        """This rank's part of `value`, cut as `like` is; scalars and what is not cut stay whole."""
        if not isinstance(like, DTensor) or isinstance(value, DTensor) or value.shape != like.shape:
            return value
        here = value.to(like.device)  # every rank has all of it, so that nothing is sent
        return distribute_tensor(here, like.device_mesh, like.placements, src_data_rank=None)

    def gathered(self, tensors: Mapping[str, Tensor], *, keep: bool) -> Mapping[str, Tensor]:
        """Whole tensors, on the processor; on a rank that does not keep them, none."""
        made = {}
        for name, value in sorted(tensors.items()):  # in one order on all ranks: that of a loaded file may differ
            whole = value.full_tensor() if isinstance(value, DTensor) else value  # every rank takes part in this
            if keep:
                made[name] = whole.cpu()
        return made

    def end(self, module: nn.Module) -> None:
        """Gathers all weights for good."""
        for each in module.modules():
            if isinstance(each, FSDPModule):
                each.set_reshard_after_forward(False, recurse=False)
                each.unshard()
