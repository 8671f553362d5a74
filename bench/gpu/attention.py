"""Microseconds of a tree-attention step on this GPU: requests with a cache each, whose new nodes form a tree.

Every node reads the whole cache, its ancestors and itself, in one layer of Llama-7B's heads in bfloat16. Beside one
another: torch's `scaled_dot_product_attention` with a mask, the same in two parts joined by their log-sum-exp,
FlexAttention, and xformers where it is installed; the floor is the bytes of the cached keys and values at the bandwidth
of a copy. Masks are made beforehand, as a step makes them once for all layers. Each way is first compared with a plain
sum in float32. Medians by CUDA events of replayed CUDA graphs; a scratch is cleared before each, so that no cache keeps
what is read. Without a GPU it prints so, and writes nothing.

Usage: python bench/gpu/attention.py [--rounds N] [--batch B ...] [--cached C ...] [--heads H]

Axes: b requests, t nodes, s cached positions and nodes, h heads, d head width.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import torch
from drafted import SHAPES
from kept import keep
from machine import here
from speed import TURNS, bandwidth
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from crt_nn.backends import XFORMERS, bias, obstacle, sdpa
from crt_nn.slots import Ancestry

HEADS, WIDTH = 32, 128
"""Of Llama-7B."""
CHECKED = (8, 200)
"""Cached positions that ways are compared on: few, so that a node read or left out shows, and beyond a tile."""
ROUNDINGS = 16
"""The largest error allowed, in units of the rounding of its type, for values around 1."""


class Step(NamedTuple):
    """The inputs of a layer."""

    query: Tensor
    """`b t h d`"""
    key: Tensor
    """`b s h d`: cached positions, then the nodes."""
    value: Tensor
    """`b s h d`"""
    line: Tensor
    """`b t t`: each node's row marks itself and its ancestors."""

    @property
    def cached(self) -> int:
        """Positions before the nodes."""
        return self.key.shape[1] - self.query.shape[1]

    @property
    def visible(self) -> Tensor:
        """`b t s`: the positions that each node reads."""
        return torch.nn.functional.pad(self.line, (self.cached, 0), value=True)


Call: TypeAlias = Callable[[Step], Tensor]
"""A step to the output of each node, `b t h d`."""


class Part(NamedTuple):
    """The result of attention to some of the positions."""

    mixed: Tensor
    """`b h t d`"""
    total: Tensor
    """`b h t`: the logarithm of the sum that its weights were divided by."""


def reference(step: Step) -> Tensor:
    """The plain sum, in float32."""
    query, key, value = (field.float() for field in step[:3])
    scores = torch.einsum("bthd,bshd->bhts", query, key) * query.shape[-1] ** -0.5
    weights = scores.masked_fill(~step.visible[:, None], -torch.inf).softmax(-1)
    return torch.einsum("bhts,bshd->bthd", weights, value)


def masked(like: Step) -> Call:
    """Torch's own attention with a boolean mask."""
    visible = like.visible
    return lambda step: sdpa(*step[:3], visible)


def split(like: Step) -> Call:
    """The cache without a mask, and the nodes with one, by torch's own attention."""
    mask, cached = bias(like.line, like.query.shape[2], like.query.dtype), like.cached

    def call(step: Step) -> Tensor:
        query, key, value = (field.transpose(1, 2) for field in step[:3])
        before = part(query, key[:, :, :cached], value[:, :, :cached])
        nodes = part(query, key[:, :, cached:], value[:, :, cached:], mask)
        return joined(before, nodes).transpose(1, 2).to(query.dtype)

    return call


def part(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Part:
    """One part of a sum, by the operators under `scaled_dot_product_attention`, which does not return the total."""
    aten = torch.ops.aten
    if query.device.type == "cpu":
        mixed, total = aten._scaled_dot_product_flash_attention_for_cpu(query, key, value, attn_mask=mask)
    elif mask is None:
        mixed, total = aten._scaled_dot_product_flash_attention(query, key, value)[:2]
    else:
        mixed, total = aten._scaled_dot_product_efficient_attention(query, key, value, mask, True)[:2]
    return Part(mixed, total[..., : query.shape[2]])  # the last one pads it to a multiple of 32


def joined(one: Part, other: Part) -> Tensor:
    """Attention to both parts together, in float32."""
    share = torch.sigmoid(one.total - other.total)[..., None]
    return torch.lerp(other.mixed.float(), one.mixed.float(), share)


def flex(like: Step) -> Call:
    """FlexAttention with a block mask, compiled where there is a GPU."""
    line, cached = like.line, like.cached

    def sees(request: Tensor, _: Tensor, node: Tensor, place: Tensor) -> Tensor:
        return (place < cached) | line[request, node, (place - cached).clamp(min=0)]

    batch, nodes, places = like.visible.shape
    blocks = create_block_mask(sees, batch, None, nodes, places, device=line.device.type)
    attend: Any = torch.compile(flex_attention, fullgraph=True) if line.is_cuda else flex_attention

    def call(step: Step) -> Tensor:
        query, key, value = (field.transpose(1, 2) for field in step[:3])
        mixed: Tensor = attend(query, key, value, block_mask=blocks)
        return mixed.transpose(1, 2)

    return call


def xformers(like: Step) -> Call:
    """The attention of xformers, with a bias.

    Raises: RuntimeError if it cannot run here.
    """
    problem = obstacle(like.query.device, like.query.dtype, like.query.shape[-1])
    if problem is not None:
        raise RuntimeError(problem)
    fmha = importlib.import_module(XFORMERS)
    mask = bias(like.visible, like.query.shape[2], like.query.dtype)
    return lambda step: fmha.memory_efficient_attention(*step[:3], attn_bias=mask)


WAYS: Mapping[str, Callable[[Step], Call]] = {
    "sdpa, mask": masked,
    "sdpa, two parts": split,
    "flex": flex,
    "xformers": xformers,
}


IN_TURN = (("sdpa, mask", "sdpa, two parts", "xformers"), ("flex",))
"""Ways whose tables are made one after another: the last one compiles for each row, which takes seconds."""


def drawn(parents: tuple[int, ...], size: int, cached: int, *, like: Tensor, heads: int = HEADS, seed: int = 0) -> Step:
    """A step of requests with one tree, in the type and on the device of `like`."""
    generator = torch.Generator(like.device).manual_seed(seed)
    shape = torch.Size((size, cached + len(parents), heads, WIDTH))
    query, key, value = (
        torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype) for _ in range(3)
    )
    above = torch.tensor(parents, device=like.device).expand(size, -1)
    return Step(query[:, cached:].contiguous(), key, value, Ancestry(like.new_empty(size)).extend(above, above >= -1))


def off(way: Callable[[Step], Call], step: Step) -> float:
    """The largest error of a way, in units of its type's rounding."""
    error = (way(step)(step).float() - reference(step)).abs().amax()
    return float(error / torch.finfo(step.query.dtype).eps)


def worst(way: Callable[[Step], Call], like: Tensor) -> float:
    """The largest error of a way over all trees and small caches, in units of its type's rounding."""
    largest = 0.0
    for parents in SHAPES.values():
        for cached in CHECKED:
            if like.is_cuda:
                torch.compiler.reset()  # a shape more than eight would not be compiled
            largest = max(largest, off(way, drawn(parents, 2, cached, like=like, heads=2)))
    return largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--cached", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--heads", type=int, default=HEADS)
    arguments = parser.parse_args()
    like = torch.empty(0, device=here().device, dtype=torch.bfloat16)
    rate = bandwidth(arguments.rounds)
    cases = {
        (size, cached, shape): Case(parents, size, cached, arguments.heads)
        for size, cached, (shape, parents) in itertools.product(arguments.batch, arguments.cached, SHAPES.items())
    }
    floors = {place: 1e6 * 4 * case.size * case.cached * case.heads * WIDTH / rate for place, case in cases.items()}
    table: dict[tuple[int, int, str], dict[str, float | str]] = {place: {} for place in cases}
    errors: dict[str, float | str] = {}
    for names in IN_TURN:
        errors |= {name: tried(worst, WAYS[name], like) for name in names}
        valid = [name for name in names if not isinstance(error := errors[name], str) and error <= ROUNDINGS]
        for place, case in cases.items() if valid else ():
            table[place] |= measured(valid, case, arguments.rounds)
            print(place, table[place], flush=True)
            rows = [
                {**dict(zip(("batch", "cached", "tree"), at, strict=True)), **times, "floor": floors[at]}
                for at, times in table.items()
                if times
            ]
            keep("attention", {"bandwidth": rate, "rounds": arguments.rounds, "errors": errors, "microseconds": rows})
            here().finish()
    shown = {name: error if isinstance(error, str) else round(error, 1) for name, error in errors.items()}
    print(f"{len(cases)} rows; errors in roundings, of which {ROUNDINGS} are allowed: {shown}")
    sys.exit(any(not isinstance(error, str) and error > ROUNDINGS for error in errors.values()))


def tried(call: Callable[..., float], *values: Any) -> float | str:
    """The result of a call, or the reason why it cannot run here."""
    try:
        return call(*values)
    except Exception as problem:  # a compiler or a package that does not fit this GPU raises anything
        return f"not run: {next(iter(str(problem).splitlines()), type(problem).__name__)}"


class Case(NamedTuple):
    """Requests of a table's row."""

    parents: tuple[int, ...]
    size: int
    cached: int
    heads: int


def measured(names: list[str], case: Case, rounds: int) -> dict[str, float | str]:
    """Microseconds of a step by each way."""
    like = torch.empty(0, device=here().device, dtype=torch.bfloat16)
    steps = [drawn(*case[:3], like=like, heads=case.heads, seed=seed) for seed in range(TURNS)]
    torch.compiler.reset()
    return {name: tried(timed, WAYS[name], steps, rounds) for name in names}


def timed(way: Callable[[Step], Call], steps: list[Step], rounds: int) -> float:
    """Microseconds of a step by one way, as a captured graph that is replayed."""
    call = way(steps[0])
    graphs = [here().captured(partial(call, step)) for step in steps]
    return here().microseconds(lambda place: graphs[place % len(graphs)](), rounds)


if __name__ == "__main__":
    main()
