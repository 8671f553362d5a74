"""The shares of a step's batch: over ranks, by torch's DistributedDataParallel, and one after another on a rank."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from crt_nn.ranks import Share, sharing, summed
from crt_run.ranks.alone import Together
from crt_run.training.losses import Loss, detached, scaled
from crtcore.kinds import Encoded, KeepsStatistics


class Forward(nn.Module):
    """The loss of a step as the forward pass of one module that has all parts, as DistributedDataParallel needs it."""

    loss: Loss

    def __init__(self, parts: Iterable[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, objective: Callable[[int, float], Loss], step: int, progress: float) -> Float[Tensor, ""]:
        """The total; the whole loss, whose parts DistributedDataParallel would copy, is left in `loss`."""
        self.loss = objective(step, progress)
        return self.loss.total


def joining(module: nn.Module, weight: float) -> DistributedDataParallel:
    """A module whose gradients are those of the batch: the sum over ranks, each rank's times its weight."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")  # since torch 2.13
        whole = DistributedDataParallel(
            module, broadcast_buffers=False, find_unused_parameters=True, gradient_as_bucket_view=True
        )
    whole.register_comm_hook(weight, _weighted)
    return whole


class Shares:
    """Cuts a step's rows into shares and joins what they give; alone and undivided, it changes nothing."""

    def __init__(self, parts: Iterable[nn.Module], batch: int, accumulate: int, group: Together, *, cut: bool) -> None:
        rank, size = group.rank, group.size
        count = size * accumulate
        turn = accumulate > 1
        own = [Share(rank * accumulate + place, count, batch, turn) for place in range(accumulate)]
        self.own: Sequence[Share | None] = own if count > 1 else [None]
        self.rank = Share(rank, size, batch) if size > 1 else None
        self.forward = Forward(parts)
        self.whole: nn.Module = self.forward
        if self.rank is not None and not cut and any(each.requires_grad for each in self.forward.parameters()):
            self.whole = joining(self.forward, self.rank.weight)

    @contextmanager
    def at(self, place: int) -> Iterator[None]:
        """Inside, the rows at hand are those of this rank's share at `place`; gradients are joined in the last one."""
        whole, last = self.whole, place == len(self.own) - 1
        early = whole.no_sync() if isinstance(whole, DistributedDataParallel) and not last else nullcontext()
        with sharing(self.own[place]), early:
            yield

    def loss(self, place: int, objective: Callable[[int, float], Loss], step: int, progress: float) -> Loss:
        """The loss of the rows at hand, the share at `place`; its total is what gradients are taken of."""
        total = self.whole(objective, step, progress)
        return scaled(self.forward.loss._replace(total=total), self.part(place))

    def part(self, place: int) -> float:
        """The fraction of this rank's rows that are in its share at `place`."""
        share = self.own[place]
        return 1.0 if share is None else share.weight / (1.0 if self.rank is None else self.rank.weight)

    def total(self, totals: Sequence[float]) -> float:
        """The loss of the batch, by those of this rank's shares as they are scaled."""
        return self._joined([{"loss": sum(totals)}], [1.0])["loss"]

    def mean(self, values: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """The mean over the batch of numbers of this rank's shares."""
        return self._joined(values, [self.part(place) for place in range(len(values))])

    def norm(self, norms: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """The norms of the batch's gradients at its rows, by those of this rank's shares, whose losses were scaled."""
        weight = 1.0 if self.rank is None else self.rank.weight
        squares = [{name: (weight * norm) ** 2 for name, norm in each.items()} for each in norms]
        if len(norms) == 1 and self.rank is None:
            return dict(norms[0])
        return {name: math.sqrt(value) for name, value in self._summed(squares).items()}

    def _joined(self, values: Sequence[Mapping[str, float]], parts: Sequence[float]) -> dict[str, float]:
        weight = 1.0 if self.rank is None else self.rank.weight
        own = [
            {name: weight * part * value for name, value in each.items()}
            for each, part in zip(values, parts, strict=True)
        ]
        return self._summed(own)

    def _summed(self, values: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """The sums over shares and ranks."""
        sums = {name: sum(each[name] for each in values) for name in values[0]}
        if self.rank is None or not sums:
            return sums
        joined = summed(torch.tensor(list(sums.values()), dtype=torch.float64)).tolist()
        return dict(zip(sums, joined, strict=True))

    def statistics(self, module: KeepsStatistics, encoded: Sequence[Encoded]) -> None:
        """Lets a module update its statistics by what it computed of this rank's shares."""
        with sharing(self.rank), torch.no_grad():
            parts = list(zip(*map(detached, encoded), strict=True))
            whole = encoded[0] if len(encoded) == 1 else Encoded._make(_together(each) for each in parts)
            module.after_step(detached(whole))


def _together(parts: Sequence[Tensor | None]) -> Tensor | None:
    """The rows of several shares; scalars, which nothing reads, are those of the first."""
    known = [part for part in parts if part is not None]
    return torch.cat(known) if known and known[0].ndim else next(iter(known), None)


def _weighted(weight, bucket):  # type: ignore[no-untyped-def]  # torch refuses strings
    """Gradients of the batch: those of each rank by its rows, summed."""
    work = distributed.all_reduce(bucket.buffer().mul_(weight), async_op=True)
    return work.get_future().then(lambda future: future.value()[0])
