"""Whether verdicts and commits can be captured in a CUDA graph, and replayed on inputs that have changed since.

Each rule is captured in both layouts, from probabilities and from logits. Then other trees replace the first ones in
place, and the replay must return what a plain call returns for them. Without a GPU it prints so, and writes nothing.

Usage: python bench/gpu/graphs.py [--cases N]
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import attrs
import torch
from compared import LAYOUTS, WORDS, Cases, differing, moved, ragged
from kept import keep
from machine import here
from torch import Tensor

from crt_verify.kernels.commit import commit
from crtcore import Sampling

CUT = Sampling(top_p=0.9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    arguments = parser.parse_args()
    here()
    wrong: dict[str, int] = {}
    for name in WORDS:
        for layout in LAYOUTS:
            for number in (None, torch.float32, torch.bfloat16, torch.float16):
                label = f"{name}, {layout}, {'probabilities' if number is None else f'{number} logits'}"
                wrong[label] = replayed(name, layout, number, arguments.cases)
        keep("graphs", {"cases": arguments.cases, "differing": wrong})
    wrong["commit"] = committed(arguments.cases)
    keep("graphs", {"cases": arguments.cases, "differing": wrong})
    bad = [label for label, count in wrong.items() if count]
    print(f"{len(wrong)} graphs captured and replayed on other trees: {f'differ: {bad}' if bad else 'equal'}")
    sys.exit(bool(bad))


def replayed(name: str, layout: str, number: torch.dtype | None, size: int) -> int:
    """Rows in which the replay on other trees and a plain call on them differ."""
    word, keywords = WORDS[name]
    kernel = attrs.evolve(here().rule(word, **keywords), layout=layout)
    first, other = (moved(rows(ragged(name, seed=seed, size=size), number)) for seed in (1, 2))

    def verdict(cases: Cases) -> Any:
        return kernel.verify(*cases) if number is None else kernel.from_logits(*cases, sampling=CUT)

    again = here().captured(lambda: verdict(first))
    expected = verdict(other)
    put(first, other)
    result = again()
    here().finish()
    count: int = differing(
        type(result)(*(field.cpu() for field in expected)), type(result)(*(field.cpu() for field in result))
    )
    return count


def rows(cases: Cases, number: torch.dtype | None) -> Cases:
    """The cases with probabilities, or with logits of a type."""
    if number is None:
        return cases
    return cases._replace(p=cases.p.log().to(number), q=cases.q.log().to(number))


def put(cases: Cases, other: Cases) -> None:
    """Writes other cases where the first ones are."""
    for old, new in zip((*cases.trees, *cases[1:]), (*other.trees, *other[1:]), strict=True):
        old.copy_(new)


def committed(size: int) -> int:
    """Slots in which a replayed commit and a plain one differ."""
    generator = torch.Generator().manual_seed(3)
    shelf, path, counts, bound = shelves(size, generator)
    again = here().captured(lambda: moves(shelf, path, counts, bound))
    fresh, other, numbers, _ = shelves(size, generator)
    expected = fresh.clone()
    commit(expected, other, numbers, bound)
    for old, new in ((shelf, fresh), (path, other), (counts, numbers)):
        old.copy_(new)
    again()
    here().finish()
    return int((shelf != expected).flatten(2).any(-1).sum())


def moves(shelf: Tensor, path: Tensor, counts: Tensor, bound: int) -> tuple[()]:
    """A commit, as a call that returns nothing."""
    commit(shelf, path, counts, bound)
    return ()


def shelves(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, int]:
    """Slots, paths of nodes behind slot 8, and how many slots each row had committed."""
    shelf = torch.randn(size, 16, 2, 32, generator=generator).bfloat16()
    path = torch.rand(size, 8, generator=generator).argsort(-1)[:, :5].sort(-1).values
    path = torch.where(torch.arange(5) < torch.randint(6, (size, 1), generator=generator), path, -1)
    counts = torch.randint(9, (size,), generator=generator)
    return shelf.to(here().device), path.to(here().device), counts.to(here().device), 8


if __name__ == "__main__":
    main()
