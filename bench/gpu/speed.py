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
from kept import keep
from machine import here
from torch import Tensor

from crt_run.sampling import probabilities
from crt_verify import rule
from crt_verify.kernels import device
from crt_verify.tree import Tree, Trees, batch
from crtcore import Sampling

TURNS = 2
"""Inputs that take turns."""
HUGE = 2**30
"""Entries of which a GPU holds one input, which no cache keeps."""
SLOW = 3
"""Rounds of the torch reference, which takes a thousand times as long."""
TOP_P = 0.9
Arms = dict[str, Callable[[int], Any]]


def branching(*counts: int) -> tuple[int, ...]:
    parents, level = [-1], [0]
    for count in counts:
        below = range(len(parents), len(parents) + len(level) * count)
        parents += [parent for parent in level for _ in range(count)]
        level = list(below)
    return tuple(parents)


def beam(width: int, length: int) -> tuple[int, ...]:
    """A beam's tree in which half of each level continues under one node."""
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


def drawn(
    parents: tuple[int, ...], size: int, vocabulary: int, seed: int
) -> tuple[Trees, Tensor, Tensor, Tensor, Tensor]:
    """Trees with ids sampled from the draft, logits of both in bfloat16, and uniforms."""
    generator = torch.Generator(here().device).manual_seed(seed)
    normal: Any = {"generator": generator, "device": here().device, "dtype": torch.bfloat16}
    draft = 3 * torch.randn(size, len(parents), vocabulary, **normal)
    target = draft + torch.randn(draft.shape, **normal)
    above = torch.tensor(parents, device=here().device).clamp(min=0)
    tokens = torch.empty(size, len(parents), dtype=torch.int64, device=here().device)
    for node in range(1, len(parents)):
        race = torch.empty(size, vocabulary, device=here().device).exponential_(generator=generator)
        distribution = probabilities(draft[:, above[node]], Sampling(top_p=TOP_P))  # of ids that no arm rules out
        tokens[:, node] = (distribution.log() - race.log()).argmax(-1)
    one = batch([Tree(parents, (-1, *[0] * (len(parents) - 1)))])
    tokens[:, 0] = -1
    trees = Trees(
        one.parents.to(here().device).expand(size, -1).contiguous(),
        tokens,
        one.nodes.to(here().device).expand(size).contiguous(),
    )
    accept, final = (
        torch.randint(top, tokens.shape, generator=generator, device=here().device) for top in (2**24, 2**32)
    )
    return trees, target, draft, accept, final


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


def whole(logits: Tensor) -> Tensor:
    """Probabilities of logits, by one softmax of torch."""
    return torch.softmax(logits, -1, dtype=torch.float32)


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


def flashinfer_arms(inputs: list[Any], distributions: list[Any]) -> Arms:
    """The chain kernel of serving engines, and a softmax before it."""
    from flashinfer import sampling  # type: ignore[import-not-found, unused-ignore]

    ids = [each[0].tokens[:, 1:].int() for each in inputs]
    drafts = [q[:, :-1].contiguous() for _, q in distributions]
    logits = [(each[1].flatten(0, 1), each[2][:, :-1].flatten(0, 1)) for each in inputs]

    def verify(place: int) -> Any:
        turn = place % len(inputs)
        return sampling.chain_speculative_sampling(drafts[turn], ids[turn], distributions[turn][0])

    def after(softmax: Callable[[Tensor], Tensor]) -> Callable[[int], Any]:
        def arm(place: int) -> Any:
            turn = place % len(inputs)
            p, q = map(softmax, logits[turn])
            return sampling.chain_speculative_sampling(
                q.view_as(drafts[turn]), ids[turn], p.view_as(distributions[turn][0])
            )

        return arm

    return {
        "FlashInfer": verify,
        "FlashInfer, torch's softmax first": after(whole),
        "FlashInfer, its softmax first": after(lambda rows: sampling.softmax(rows.float(), temperature=1.0)),
    }


def cut_first(name: str, inputs: list[Any]) -> Arms:
    """Our verdict after FlashInfer's softmax and top-p of all rows."""
    from flashinfer import sampling  # type: ignore[import-not-found, unused-ignore]

    ours = here().rule(name)

    def cut_softmax(logits: Tensor) -> Tensor:
        rows = sampling.softmax(logits.flatten(0, 1).float(), temperature=1.0)
        cut: Tensor = sampling.top_p_renorm_probs(rows, TOP_P)
        return cut.view(logits.shape)

    def arm(place: int) -> Any:
        trees, target, draft, accept, final = inputs[place % len(inputs)]
        return ours.verify(trees, cut_softmax(target), cut_softmax(draft), accept, final)

    return {f"{name}, FlashInfer's softmax and top-p first": arm}


def sglang_arms(inputs: list[Any], distributions: list[Any]) -> Arms:
    """The tree kernel of serving engines, which is our `target-only`."""
    from sgl_kernel import (  # type: ignore[import-not-found, unused-ignore]
        tree_speculative_sampling_target_only,
    )

    size, most, vocabulary = distributions[0][0].shape
    parents = inputs[0][0].parents[0].tolist()
    child = [next((x for x in range(most) if parents[x] == node), -1) for node in range(most)]
    younger = [next((x for x in range(node + 1, most) if parents[x] == parents[node]), -1) for node in range(most)]
    links = [torch.tensor(each, device=here().device).expand(size, -1).contiguous() for each in (child, younger)]
    index = torch.arange(size * most, device=here().device).view(size, most)
    uniforms = [(each[3] / 2**24, each[4][:, 0] / 2**32) for each in inputs]
    predicts, accepted = torch.empty(size * most, dtype=torch.int32, device=here().device), index.int()
    counts = torch.empty(size, dtype=torch.int32, device=here().device)
    drafts = torch.zeros(size, most, vocabulary, device=here().device)  # of which it writes a few entries

    def verify(place: int, p: Tensor) -> Any:
        tokens = inputs[place % len(inputs)][0].tokens
        outputs = (predicts, accepted, counts)
        tree_speculative_sampling_target_only(
            *outputs, tokens, index, *links, *uniforms[place % len(inputs)], p, drafts
        )

    return {
        "SGLang": lambda place: verify(place, distributions[place % len(distributions)][0]),
        "SGLang, softmax first": lambda place: verify(place, whole(inputs[place % len(inputs)][1])),
    }


LOOKS = ("single", "multiround", "recursive")
"""Rules that read the rows of a node only once its first child is rejected."""


def read_rows(name: str, inputs: Any, rows: Any, *, from_probabilities: bool) -> int:
    """Rows that walks read, each once: both distributions of a node with children, the target's of another.

    `from_probabilities`: rows are probabilities, of which two numbers can suffice.
    """
    trees, _, _, accept, final = inputs
    verdict = here().rule(name).verify(trees, *rows, accept, final)
    above, node = trees.parents.clamp(min=0), torch.arange(trees.parents.shape[1], device=trees.parents.device)
    inner = torch.zeros_like(trees.tokens).scatter(1, above[:, 1:], 1)
    eldest = torch.full_like(above, len(node)).scatter_reduce(1, above[:, 1:], node[1:].expand_as(above[:, 1:]), "amin")
    nodes = torch.cat([torch.zeros_like(verdict.length)[:, None], verdict.path], 1)  # b k
    after = torch.cat([verdict.path, torch.full_like(verdict.length, -1)[:, None]], 1)
    seen = (eldest.gather(1, nodes.clamp(min=0)) == after) & (from_probabilities and name in LOOKS)
    read = torch.where((nodes >= 0) & ~seen, 1 + inner.gather(1, nodes.clamp(min=0)) * (name != "target-only"), 0)
    return int(read.sum())


if __name__ == "__main__":
    main()
