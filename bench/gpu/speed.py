"""Microseconds of a verdict on this GPU, by vocabulary, batch and tree, beside what else could give it.

From probabilities: our kernels, the torch reference on the GPU, FlashInfer's chain kernel and SGLang's tree kernel
where they are installed, and the floor, the bytes of the rows that walks read at the bandwidth of a copy. From logits
in bfloat16: our kernels, and a softmax of all rows before our verdict, FlashInfer's or SGLang's, as serving engines
have it. Then `recursive` on one tree by layout and blocks, to check that the chosen one is the best. Medians by CUDA
events, queued while the GPU sleeps, so that the host is in none but the torch reference's, whose launches are more than
a queue holds; a scratch is cleared before each round, so that no cache keeps rows. The time of an empty kernel is a
column of its own, as it is part of every number. Rows are kept as they come, those that the goals are about first.
Without a GPU it prints so, and writes nothing.

Usage: python bench/gpu/speed.py [--rounds N] [--vocabulary V ...] [--batch B ...]
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import statistics
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import torch
from drafted import SHAPES, TOP_P, Arms, drawn, read_rows, whole
from engines import cut_first, flashinfer_arms, sglang_arms
from kept import keep
from machine import here

from crt_verify import rule
from crt_verify.kernels import device
from crtcore import Sampling

TURNS = 2
"""Inputs that take turns."""
HUGE = 2**30
"""Entries of which a GPU holds one input, which no cache keeps."""
SLOW = 3
"""Rounds of the torch reference, which takes a thousand times as long."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[32_000, 128_000])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 64, 256])
    arguments = parser.parse_args()
    here()
    rate = bandwidth(arguments.rounds)
    kept: dict[str, Any] = {"bandwidth": rate, "rounds": arguments.rounds, "microseconds": [], "choices": []}
    sizes = in_order(itertools.product(arguments.vocabulary, arguments.batch))
    for vocabulary, size in sizes:
        for shape, parents in SHAPES.items():
            times = measured(parents, size, vocabulary, arguments.rounds, rate)
            add(kept, "microseconds", {"vocabulary": vocabulary, "batch": size, "tree": shape, **times})
    for vocabulary, size in sizes:
        if size in (1, 64):
            choices = chosen(size, vocabulary, arguments.rounds)
            add(kept, "choices", {"vocabulary": vocabulary, "batch": size, **choices})
    reached = "; ".join(goals(kept["microseconds"])) or "no row is about one"
    print(f"{len(kept['microseconds'])} rows; goals: {'those of a GPU' if here().rehearsed else reached}")


def in_order(sizes: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Vocabularies and batches, those that the goals are about first, should time run out."""
    first = (64, 1, 256, 8)
    return sorted(sizes, key=lambda each: (first.index(each[1]) if each[1] in first else len(first), -each[0]))


def add(kept: dict[str, Any], table: str, row: dict[str, Any]) -> None:
    """Prints a row and keeps all there are."""
    kept[table].append(row)
    print(row, flush=True)
    keep("speed", kept if here().rehearsed else {**kept, "goals": goals(kept["microseconds"])})
    here().finish()


def goals(rows: list[dict[str, Any]]) -> list[str]:
    """The goals of the kernels beside the numbers, of the rows that there are."""
    large = [row for row in rows if row["batch"] >= 64]
    at_hand = {"vocabulary": 128_000, "batch": 1, "tree": "rsd-s (5,6)"}
    asked = [
        ("probabilities within 1.3 times the bytes' floor, batch 64 and up", 1.3, -1, ratios(large, "", ", floor")),
        ("logits 4 times as fast as a softmax first", 4, 1, ratios(rows, ", softmax first", ", logits")),
        (
            "a verdict in 20 us, batch 1, 128,000 ids, rsd-s (5,6)",
            20, -1, [row["recursive"] for row in rows if at_hand.items() <= row.items() and timed_at(row, "recursive")],
        ),
        (
            "a chain as fast as FlashInfer's kernel",
            1, 1, [row["FlashInfer"] / row["single"] for row in rows if timed_at(row, "FlashInfer", "single")],
        ),
    ]  # fmt: skip
    return [
        f"{words}: {'met' if sign * worst >= sign * bar else 'not met'}, {worst:.2f} at worst of {len(values)}"
        for words, bar, sign, values in asked
        if values and (worst := sign * min(sign * each for each in values)) is not None
    ]


def ratios(rows: list[dict[str, Any]], over: str, under: str) -> list[float]:
    """One column over another, for every rule that has both."""
    rules = ("single", "block", "recursive", "multiround", "kseq", "target-only")
    pairs = [(row, f"{rule}{over}", f"{rule}{under}") for row in rows for rule in rules]
    return [row[one] / row[other] for row, one, other in pairs if timed_at(row, one, other)]


def timed_at(row: dict[str, Any], *columns: str) -> bool:
    """Whether a row has a time in each of these columns, and not the reason why it has none."""
    return all(isinstance(row.get(column), float) for column in columns)


def bandwidth(rounds: int) -> float:
    """Bytes a second that a copy reads and writes."""
    source, target = (torch.empty(2**28, device=here().device) for _ in range(2))
    return 2 * source.nbytes / (here().microseconds(lambda _: target.copy_(source), rounds) * 1e-6)


def measured(parents: tuple[int, ...], size: int, vocabulary: int, rounds: int, rate: float) -> dict[str, Any]:
    chain = parents == SHAPES["chain 5"]
    turns = TURNS if size * len(parents) * vocabulary < HUGE else 1
    inputs = [drawn(parents, size, vocabulary, seed) for seed in range(turns)]
    distributions = [tuple(whole(logits) for logits in each[1:3]) for each in inputs]
    names = ("single", "block") if chain else ("recursive", "multiround", "kseq", "target-only")
    arms: Arms = {"an empty kernel": lambda _: inputs[0][3].new_empty(1).zero_()}
    for name in names:
        arms |= of_rule(name, inputs, distributions)
    if importlib.util.find_spec("flashinfer") and not here().rehearsed:
        arms |= peer("FlashInfer", lambda: flashinfer_arms(inputs, distributions)) if chain else {}
        arms |= peer(f"{names[0]}, FlashInfer's softmax and top-p first", lambda: cut_first(names[0], inputs))
    if importlib.util.find_spec("sgl_kernel") and not here().rehearsed:
        arms |= peer("SGLang", lambda: sglang_arms(inputs, distributions))
    times = {name: timed(arm, SLOW if name.endswith(", torch") else rounds) for name, arm in arms.items()}
    for name in names:
        for rows, width in (("", 4), (", logits", 2)):
            read = [
                read_rows(name, *each, from_probabilities=not rows) for each in zip(inputs, distributions, strict=True)
            ]
            times[f"{name}{rows}, floor"] = 1e6 * statistics.mean(read) * width * vocabulary / rate
    return times


def peer(name: str, made: Callable[[], Arms]) -> Arms:
    """The arms of another package, or one that raises the reason why there are none."""
    try:
        return made()
    except Exception as problem:  # a package that does not fit raises anything
        reason = problem

        def fails(_: int) -> None:
            raise reason

        return {name: fails}


def timed(arm: Callable[[int], Any], rounds: int) -> Any:
    """Microseconds of an arm, or the reason why it cannot run here: a compiler or library may be missing."""
    try:
        return here().microseconds(arm, rounds)
    except Exception as problem:
        return f"not run: {' '.join(str(problem).split())[-200:] or type(problem).__name__}"


def chosen(size: int, vocabulary: int, rounds: int) -> dict[str, float]:
    """The times of `recursive` from probabilities and from logits, by layout and blocks."""
    inputs = [drawn(SHAPES["rsd-s (5,6)"], size, vocabulary, seed) for seed in range(TURNS)]
    distributions = [tuple(whole(logits) for logits in each[1:3]) for each in inputs]
    times = {}
    for layout, blocks in itertools.product(
        (None, *device.LAYOUTS[1:]), (None, *here().blocks) if len(here().blocks) > 1 else (None,)
    ):
        kernel = attrs.evolve(here().rule("recursive"), layout=layout, blocks=blocks)
        arms = of_kernel("recursive", kernel, inputs, distributions)
        for name, arm in itertools.islice(arms.items(), 2):
            times[f"{name}, {layout or 'chosen'}, {blocks or 'chosen'}"] = here().microseconds(arm, rounds)
    return times


def of_rule(name: str, inputs: list[Any], distributions: list[Any]) -> Arms:
    reference: Any = rule(name)

    def torch_verify(place: int) -> Any:
        trees, _, _, accept, final = inputs[place % len(inputs)]
        return reference.verify(trees, *distributions[place % len(distributions)], accept, final)

    arms = of_kernel(name, here().rule(name), inputs, distributions)
    return arms | ({f"{name}, torch": torch_verify} if distributions[0][0].numel() < 2**28 else {})


def of_kernel(name: str, ours: Any, inputs: list[Any], distributions: list[Any]) -> Arms:
    def verify(place: int) -> Any:
        trees, _, _, accept, final = inputs[place % len(inputs)]
        return ours.verify(trees, *distributions[place % len(distributions)], accept, final)

    def fused(place: int) -> Any:
        trees, target, draft, accept, final = inputs[place % len(inputs)]
        return ours.from_logits(trees, target, draft, accept, final, sampling=Sampling())

    def top_p(place: int) -> Any:
        trees, target, draft, accept, final = inputs[place % len(inputs)]
        return ours.from_logits(trees, target, draft, accept, final, sampling=Sampling(top_p=TOP_P))

    def softmax_first(place: int) -> Any:
        trees, target, draft, accept, final = inputs[place % len(inputs)]
        return ours.verify(trees, whole(target), whole(draft), accept, final)

    return {
        name: verify,
        f"{name}, logits": fused,
        f"{name}, logits, top-p": top_p,
        f"{name}, softmax first": softmax_first,
    }


if __name__ == "__main__":
    main()
