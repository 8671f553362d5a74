"""Microseconds of a verdict on this GPU, by vocabulary, batch and tree, beside what else could give it.

From probabilities: our kernels, the torch reference on the GPU, FlashInfer's chain kernel where it is installed, and
the floor, the bytes of the rows that walks come to at the bandwidth of a copy. From logits in bfloat16: our kernels,
and a softmax of all rows before our verdict or FlashInfer's. Medians by CUDA events; inputs take turns, so that no
cache keeps them. Without a GPU it says so, and writes nothing.

Usage: python bench/gpu/speed.py [--rounds N] [--vocabulary V ...] [--batch B ...]
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
from collections.abc import Callable
from typing import Any

import torch
from crt_verify import rule
from crt_verify.kernels import device
from crt_verify.tree import Tree, Trees, batch
from kept import keep, needs_gpu
from torch import Tensor

ROTATED = 2**28
"""Bytes of inputs that take turns at least: several times any cache."""
Arms = dict[str, Callable[[int], Any]]


def branching(*counts: int) -> tuple[int, ...]:
    parents, level = [-1], [0]
    for count in counts:
        below = range(len(parents), len(parents) + len(level) * count)
        parents += [parent for parent in level for _ in range(count)]
        level = list(below)
    return tuple(parents)


def beam(width: int, length: int) -> tuple[int, ...]:
    """A beam's tree in which half of each level goes on under one node."""
    parents, level = [-1], [0]
    for _ in range(length):
        chosen = [level[max(0, place - width // 2) % len(level)] for place in range(width)]
        level = list(range(len(parents), len(parents) + width))
        parents += sorted(chosen)
    return tuple(parents)


SHAPES = {
    "chain 5": branching(1, 1, 1, 1, 1),
    "rsd-c (5,1,1,1,1,1)": branching(5, 1, 1, 1, 1, 1),
    "rsd-s (5,6)": beam(5, 6),
    "64 nodes": beam(9, 7),
}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rounds", type=int, default=30)
    words.add_argument("--vocabulary", type=int, nargs="+", default=[32_000, 128_000])
    words.add_argument("--batch", type=int, nargs="+", default=[1, 8, 64, 256])
    given = words.parse_args()
    needs_gpu()
    rate = bandwidth(given.rounds)
    rows = []
    for vocabulary in given.vocabulary:
        for size in given.batch:
            for shape, parents in SHAPES.items():
                found = measured(parents, size, vocabulary, given.rounds, rate)
                rows.append({"vocabulary": vocabulary, "batch": size, "tree": shape, **found})
                print(rows[-1], flush=True)
                torch.cuda.empty_cache()
    keep("speed", {"bandwidth": rate, "rounds": given.rounds, "microseconds": rows})


def bandwidth(rounds: int) -> float:
    """Bytes a second that a copy reads and writes."""
    source, target = (torch.empty(2**28, device="cuda") for _ in range(2))
    return 2 * source.nbytes / (microseconds(lambda _: target.copy_(source), rounds) * 1e-6)


def microseconds(call: Callable[[int], Any], rounds: int) -> float:
    """The median of a call, by events; `call` is told which round it is."""
    call(0)
    marks = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(rounds)]
    for place, (start, stop) in enumerate(marks):
        start.record()
        call(place)
        stop.record()
    torch.cuda.synchronize()
    return 1e3 * statistics.median(start.elapsed_time(stop) for start, stop in marks)


def drawn(
    parents: tuple[int, ...], size: int, vocabulary: int, seed: int
) -> tuple[Trees, Tensor, Tensor, Tensor, Tensor]:
    """Trees whose ids the draft drew, logits of both in bfloat16, and coins."""
    generator = torch.Generator("cuda").manual_seed(seed)
    normal = {"generator": generator, "device": "cuda", "dtype": torch.bfloat16}
    draft = 3 * torch.randn(size, len(parents), vocabulary, **normal)
    target = draft + torch.randn(draft.shape, **normal)
    above = torch.tensor(parents, device="cuda").clamp(min=0)
    tokens = torch.empty(size, len(parents), dtype=torch.int64, device="cuda")
    for node in range(1, len(parents)):
        race = torch.empty(size, vocabulary, device="cuda").exponential_(generator=generator)
        tokens[:, node] = (draft[:, above[node]].float() - race.log()).argmax(-1)
    one = batch([Tree(parents, (-1, *[0] * (len(parents) - 1)))])
    tokens[:, 0] = -1
    trees = Trees(one.parents.cuda().expand(size, -1).contiguous(), tokens, one.nodes.cuda().expand(size).contiguous())
    accept, final = (torch.randint(top, tokens.shape, generator=generator, device="cuda") for top in (2**24, 2**32))
    return trees, target, draft, accept, final


def measured(parents: tuple[int, ...], size: int, vocabulary: int, rounds: int, rate: float) -> dict[str, Any]:
    chain = parents == SHAPES["chain 5"]
    turns = max(2, ROTATED // (2 * size * len(parents) * vocabulary * 4))
    given = [drawn(parents, size, vocabulary, seed) for seed in range(min(turns, rounds))]
    laws = [tuple(torch.softmax(logits.float(), -1) for logits in each[1:3]) for each in given]
    names = ("single", "block") if chain else ("recursive", "multiround", "kseq", "target-only")
    arms: Arms = {}
    for name in names:
        arms |= of_rule(name, given, laws)
    if importlib.util.find_spec("flashinfer") and chain:
        arms |= flashinfer_arms(given, laws)
    found: dict[str, Any] = {name: microseconds(arm, rounds) for name, arm in arms.items()}
    found["floor"] = 1e6 * visited_bytes(names[0], given[0], laws[0]) / rate
    return found


def of_rule(name: str, given: list[Any], laws: list[Any]) -> Arms:
    ours, reference = device.rule(name), rule(name)

    def verify(place: int) -> Any:
        trees, _, _, accept, final = given[place % len(given)]
        return ours.verify(trees, *laws[place % len(laws)], accept, final)

    def torch_verify(place: int) -> Any:
        trees, _, _, accept, final = given[place % len(given)]
        return reference.verify(trees, *laws[place % len(laws)], accept, final)

    def fused(place: int) -> Any:
        trees, target, draft, accept, final = given[place % len(given)]
        return ours.from_logits(trees, target, draft, accept, final, temperature=1.0)

    def softmax_first(place: int) -> Any:
        trees, target, draft, accept, final = given[place % len(given)]
        return ours.verify(trees, torch.softmax(target.float(), -1), torch.softmax(draft.float(), -1), accept, final)

    arms: Arms = {name: verify, f"{name}, logits": fused, f"{name}, softmax first": softmax_first}
    return arms | ({f"{name}, torch": torch_verify} if laws[0][0].numel() < 2**28 else {})


def flashinfer_arms(given: list[Any], laws: list[Any]) -> Arms:
    from flashinfer.sampling import chain_speculative_sampling

    def verify(place: int) -> Any:
        p, q = laws[place % len(laws)]
        return chain_speculative_sampling(q[:, :-1].contiguous(), given[place % len(given)][0].tokens[:, 1:].int(), p)

    def softmax_first(place: int) -> Any:
        trees, target, draft, _, _ = given[place % len(given)]
        p, q = torch.softmax(target.float(), -1), torch.softmax(draft[:, :-1].float(), -1)
        return chain_speculative_sampling(q, trees.tokens[:, 1:].int(), p)

    return {"FlashInfer": verify, "FlashInfer, softmax first": softmax_first}


def visited_bytes(name: str, given: Any, laws: Any) -> int:
    """Bytes of the rows that walks come to, each read once: both laws of a node with children, else the target's."""
    trees, _, _, accept, final = given
    verdict = device.rule(name).verify(trees, *laws, accept, final)
    inner = torch.zeros_like(trees.tokens).scatter(1, trees.parents.clamp(min=0), 1)
    nodes = torch.cat([torch.zeros_like(verdict.length)[:, None], verdict.path], 1)  # b k
    rows = torch.where(nodes >= 0, 1 + inner.gather(1, nodes.clamp(min=0)), 0)
    return int(rows.sum()) * 4 * laws[0].shape[-1]


if __name__ == "__main__":
    main()
