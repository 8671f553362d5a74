"""Shares of a batch: what a part of its rows needs to know of the others, on ranks that train one model together.

A rank is a process. Outside `sharing` the rows are the whole batch, and each function returns what it is given.
The losses of shares, weighted by their rows, add up to the loss of the batch.

Axes: b rows of a share.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, distributed

from crtcore.errors import RunError

CONTIGUOUS = "expected a contiguous tensor: gloo sums others wrongly, without an error"


class Share(NamedTuple):
    """One of the parts that the rows of a batch are cut into; two parts differ by one row at most."""

    place: int
    parts: int
    batch: int
    """Rows of the batch."""
    in_turn: bool = False
    """True: a rank computes several shares, one after another, so that none knows the others."""

    @property
    def rows(self) -> range:
        """Its rows."""
        return range(self.batch * self.place // self.parts, self.batch * (self.place + 1) // self.parts)

    @property
    def weight(self) -> float:
        """Its fraction of the rows."""
        return len(self.rows) / self.batch


_now: Share | None = None  # no ContextVar, which torch.compile does not read


@contextmanager
def sharing(share: Share | None) -> Iterator[None]:
    """Inside, the rows at hand are a share of a batch; None: they are the batch."""
    global _now  # noqa: PLW0603
    before, _now = _now, share
    try:
        yield
    finally:
        _now = before


def split() -> bool:
    """True if the rows at hand are a share of the batch."""
    return _now is not None


def rows_of(batch: int) -> range:
    """The rows of a batch that are at hand.

    Raises: ValueError if the share is of a batch with another number of rows.
    """
    if _now is None:
        return range(batch)
    if batch != _now.batch:
        raise ValueError(f"expected the step's batch of {_now.batch} rows, got {batch}")
    return _now.rows


def rows_at_hand(count: int) -> range:
    """The rows that are at hand, `count` of them.

    Raises: ValueError if there are others.
    """
    if _now is None:
        return range(count)
    if count != len(_now.rows):
        raise ValueError(f"expected the {len(_now.rows)} rows of this rank, got {count}")
    return _now.rows


def summed(value: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
    """`value`, which is contiguous, overwritten by its sum over all ranks."""
    assert value.is_contiguous(), CONTIGUOUS
    distributed.all_reduce(value)
    return value


class _Mean(torch.autograd.Function):
    """The mean over all ranks of things of which each has a sum and a number."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, count: int, weight: float) -> Tensor:
        whole = summed(torch.cat([total.detach().flatten(), total.new_tensor([count])]))
        ctx.weight, ctx.count = weight, whole[-1]
        return (whole[:-1] / whole[-1]).view_as(total)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        return summed(gradient * ctx.weight) / (ctx.count * ctx.weight), None, None


def batch_mean(values: Shaped[Tensor, "b *rest"]) -> Shaped[Tensor, "*rest"]:
    """The mean over the first axis, of the values of the whole batch.

    Its gradient counts every rank's use of the mean, so the backward pass communicates too.
    Raises: RunError if the shares are computed in turn.
    """
    if _now is None:
        return values.mean(0)
    if _now.in_turn:
        raise RunError(
            "a loss needs the statistics of the whole batch at once, such as a batch norm or the entropy of all codes; "
            "set `accumulate` of this training to 1"
        )
    mean: Tensor = _Mean.apply(values.sum(0), len(values), _now.weight)  # type: ignore[no-untyped-call]
    return mean


def portion(count: Shaped[Tensor, ""], most: int) -> Shaped[Tensor, ""]:
    """What a sum over this share's things is divided by for the batch's mean: its part of the `count` of all shares.

    `most` is the count if nothing is absent.
    Raises: RunError if the shares are computed in turn and something is absent.
    """
    if _now is None:
        return count
    if _now.in_turn:
        if int(count) != most:
            raise RunError(
                "a loss is a mean over what is present in the whole batch, and something is absent in this part of it; "
                "set `accumulate` of this training to 1"
            )
        return count
    whole = summed(count.detach().double().reshape(1))[0] * _now.weight
    return whole.to(torch.promote_types(count.dtype, torch.float32))


def gathered(values: Shaped[Tensor, "b *rest"]) -> Shaped[Tensor, "b *rest"]:
    """The rows of all ranks, in their order; of shares in turn, those of this one."""
    if _now is None or _now.in_turn:
        return values
    sizes = [torch.zeros(1, dtype=torch.int64, device=values.device) for _ in range(distributed.get_world_size())]
    distributed.all_gather(sizes, torch.tensor([len(values)], device=values.device))
    most = int(torch.cat(sizes).max())
    padded = values.new_zeros(most, *values.shape[1:])
    padded[: len(values)] = values.detach()
    parts = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(parts, padded)
    whole: Tensor = torch.cat([part[: int(size)] for part, size in zip(parts, sizes, strict=True)])
    return whole


def whole_norm(gradient: Float[Tensor, "b *rest"]) -> Float[Tensor, ""]:
    """The norm of the batch's gradient at all rows, of which `gradient` is that of this share's loss at its own rows.

    Of shares in turn, that of this one's loss.
    """
    if _now is None or _now.in_turn:
        own: Tensor = gradient.norm()
        return own
    return summed((gradient.detach().norm().double() * _now.weight).square().reshape(1)).sqrt()[0]


def whole_gradient(gradient: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The batch's gradient at something that all shares use, of which `gradient` is that of this share's loss.

    Raises: RunError if the shares are computed in turn.
    """
    if _now is None:
        return gradient
    if _now.in_turn:
        raise RunError("a loss needs the gradient of the whole batch at once; set `accumulate` of this training to 1")
    return summed((gradient.detach() * _now.weight).contiguous())
