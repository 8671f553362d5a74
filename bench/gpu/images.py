"""Images a second of class-conditional sampling with a cache, eager and by CUDA graphs, in LlamaGen-B's shape.

The ways are whole draws of `ancestral` as they are; a graph of such a draw from end to end, with the session as it is;
a graph of one step whose shapes stay, each layer's keys and values in slots of which later ones are masked; and that
step compiled. All sample from the same distribution with the same uniforms, so they generate the same ids: that is
checked first, in float32, because the roundings of bfloat16 move the bounds between 16,384 ids by more than their
distance. Then they are timed in bfloat16. The number of ids is that of a 256 by 256 image; weights are random; uniforms
are drawn beforehand. The goal is 3 times eager. Without a GPU it prints so, and writes nothing.

Usage: python bench/gpu/images.py [--size B|small] [--codes N] [--batch N ...] [--side N] [--rounds N] [--backend NAME]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from image_draws import Draw, compiled, eager, stepped, whole
from kept import keep
from machine import here
from torch import Tensor, nn

from crt_ar.specs import LlamaGen
from crtcore.kinds import Prior

CLASSES = 1_000
GOAL = 3
TRIED = 4
"""Images on which ways are compared."""
NEAR = 0.9
"""Share of ids that must be alike in float32; with a wrong memory few are."""


def spec_of(size: str) -> LlamaGen:
    """LlamaGen's B, or a small one to try the bench itself."""
    if size == "small":
        return LlamaGen(layers=2, width=32, heads=2, attention="sdpa")
    return LlamaGen(size="B", attention="sdpa")


EAGER, COMPILED = "eager", "graph of a compiled step"
WAYS: Mapping[str, Callable[..., Draw]] = {
    EAGER: eager,
    "graph of a draw": whole,
    "graph of a step": stepped,
    COMPILED: compiled,
}


def built(size: str, codes: int, length: int) -> Prior:
    """The prior in float32, with a random output layer."""
    torch.manual_seed(0)
    with torch.device(here().device):
        prior: Any = spec_of(size).build(codes, length, CLASSES)
        head = prior.head.get_parameter("weight")
        nn.init.normal_(head, std=head.shape[1] ** -0.5)
    still: Prior = prior.eval().requires_grad_(False)
    return still


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=["B", "small"], default="B")
    parser.add_argument("--codes", type=int, default=16_384)
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--side", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backend", default="inductor")
    arguments = parser.parse_args()
    ways = {**WAYS, COMPILED: partial(compiled, backend=arguments.backend)}
    length, rows = arguments.side**2, list[dict[str, Any]]()
    alike = {
        name: tried(compared, way, built(arguments.size, arguments.codes, length), length) for name, way in ways.items()
    }
    print(f"ids alike in float32: {alike}", flush=True)
    valid = {name: ways[name] for name, share in alike.items() if isinstance(share, float) and share >= NEAR}
    prior: Any = built(arguments.size, arguments.codes, length)
    prior.bfloat16()
    for batch in arguments.batch:
        for name, way in valid.items():
            rows.append(
                {
                    "batch": batch,
                    "way": name,
                    "images a second": tried(speed, way, prior, (batch, length), arguments.rounds),
                }
            )
            print(rows[-1], flush=True)
            keep("images", {**vars(arguments), "alike": alike, "rows": rows, "times eager": times(rows)})
    wrong = [name for name, share in alike.items() if isinstance(share, float) and share < NEAR]
    best = f"{max(times(rows).values(), default=0):.2f} times eager at best (goal {GOAL})"
    print(f"{len(rows)} rows; {best}; wrong ids: {', '.join(wrong) or 'none'}")
    sys.exit(bool(wrong))


def tried(call: Callable[..., float], *values: Any) -> float | str:
    """The result of a call, or the reason why it cannot run here."""
    try:
        return call(*values)
    except Exception as problem:  # a compiler that does not fit raises anything
        return f"not run: {' '.join(str(problem).split())[:300] or type(problem).__name__}"
    finally:
        here().finish()


def compared(way: Callable[..., Draw], prior: Prior, length: int) -> float:
    """The share of ids of a way that equal those of `eager`, in a second draw, for other classes than the first."""
    first = torch.arange(TRIED, device=here().device)
    draw = way(prior, TRIED, length)
    draw(first)
    return first_apart(draw(first + TRIED), eager(prior, TRIED, length)(first + TRIED))


def speed(way: Callable[..., Draw], prior: Prior, shape: tuple[int, int], rounds: int) -> float:
    """Images a second, in the fastest of some rounds."""
    classes = torch.arange(shape[0], device=here().device) % CLASSES
    draw = way(prior, *shape)
    draw(classes)
    return shape[0] / min(taken(draw, classes) for _ in range(rounds))


def times(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How many times the images of eager each other way draws, by way and batch."""
    rates = {(row["batch"], row["way"]): row["images a second"] for row in rows}
    return {
        f"{way}, batch {batch}": rate / rates[batch, EAGER]
        for (batch, way), rate in rates.items()
        if way != EAGER and isinstance(rate, float) and isinstance(rates.get((batch, EAGER)), float)
    }


def first_apart(ids: Tensor, expected: Tensor) -> float:
    """Of the ids up to the first one of each row that differs, the share that do not.

    After it a row is another image, as each id depends on those before.
    """
    same = (ids == expected).long().cumprod(-1)
    compared = same.sum() + (same[:, -1] == 0).sum()
    return float(same.sum() / compared)


def taken(draw: Draw, classes: Tensor) -> float:
    """Seconds of a draw."""
    here().finish()
    began = time.perf_counter()
    draw(classes)
    here().finish()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
