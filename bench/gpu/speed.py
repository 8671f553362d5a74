"""Microseconds of a verdict on this GPU, by vocabulary, batch and tree, beside what else could give it.

From probabilities: our kernels, the torch reference on the GPU, FlashInfer's chain kernel and SGLang's tree kernel
where they are installed, and the floor, the bytes of the rows that walks read at the bandwidth of a copy. From logits
in bfloat16: our kernels, and a softmax of all rows before our verdict, FlashInfer's or SGLang's, as serving engines
have it. Then `recursive` on one tree by layout and blocks, to tell whether what is chosen is the best. Medians by CUDA
events, queued while the GPU sleeps, so that the host is in none but the torch reference's, whose launches are more than
a queue holds; a scratch is cleared before each round, so that no cache keeps rows. The time of an empty kernel is a
column of its own, as it is part of every number. Rows are kept as they come, those that the goals are about first.
Without a GPU it says so, and writes nothing.

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

from crt_verify import rule
from crt_verify.kernels import device
from crt_verify.tree import Tree, Trees, batch
from crtcore import Sampling, probabilities

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
    here()
    rate = bandwidth(given.rounds)
    kept: dict[str, Any] = {"bandwidth": rate, "rounds": given.rounds, "microseconds": [], "choices": []}
    sizes = in_order(itertools.product(given.vocabulary, given.batch))
    for vocabulary, size in sizes:
        for shape, parents in SHAPES.items():
            found = measured(parents, size, vocabulary, given.rounds, rate)
            add(kept, "microseconds", {"vocabulary": vocabulary, "batch": size, "tree": shape, **found})
    for vocabulary, size in sizes:
        if size in (1, 64):
            choices = chosen(size, vocabulary, given.rounds)
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
        f"{words}: {'met' if sign * worst >= sign * bar else 'not met'}, {worst:.2f} at worst of {len(found)}"
        for words, bar, sign, found in asked
        if found and (worst := sign * min(sign * each for each in found)) is not None
    ]


def ratios(rows: list[dict[str, Any]], over: str, under: str) -> list[float]:
    """One column over another, for every rule that has both."""
    rules = ("single", "block", "recursive", "multiround", "kseq", "target-only")
    pairs = [(row, f"{rule}{over}", f"{rule}{under}") for row in rows for rule in rules]
    return [row[one] / row[other] for row, one, other in pairs if timed_at(row, one, other)]


def timed_at(row: dict[str, Any], *columns: str) -> bool:
    """Whether a row has a time in each of these columns, and not why there is none."""
    return all(isinstance(row.get(column), float) for column in columns)


def bandwidth(rounds: int) -> float:
    """Bytes a second that a copy reads and writes."""
    source, target = (torch.empty(2**28, device=here().device) for _ in range(2))
    return 2 * source.nbytes / (here().microseconds(lambda _: target.copy_(source), rounds) * 1e-6)


def drawn(
    parents: tuple[int, ...], size: int, vocabulary: int, seed: int
) -> tuple[Trees, Tensor, Tensor, Tensor, Tensor]:
    """Trees whose ids the draft drew, logits of both in bfloat16, and coins."""
    generator = torch.Generator(here().device).manual_seed(seed)
    normal: Any = {"generator": generator, "device": here().device, "dtype": torch.bfloat16}
    draft = 3 * torch.randn(size, len(parents), vocabulary, **normal)
    target = draft + torch.randn(draft.shape, **normal)
    above = torch.tensor(parents, device=here().device).clamp(min=0)
    tokens = torch.empty(size, len(parents), dtype=torch.int64, device=here().device)
    for node in range(1, len(parents)):
        race = torch.empty(size, vocabulary, device=here().device).exponential_(generator=generator)
        law = probabilities(draft[:, above[node]], Sampling(top_p=TOP_P))  # of ids that no arm rules out
        tokens[:, node] = (law.log() - race.log()).argmax(-1)
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
    given = [drawn(parents, size, vocabulary, seed) for seed in range(turns)]
    laws = [tuple(whole(logits) for logits in each[1:3]) for each in given]
    names = ("single", "block") if chain else ("recursive", "multiround", "kseq", "target-only")
    arms: Arms = {"an empty kernel": lambda _: given[0][3].new_empty(1).zero_()}
    for name in names:
        arms |= of_rule(name, given, laws)
    if importlib.util.find_spec("flashinfer") and not here().rehearsed:
        arms |= peer("FlashInfer", lambda: flashinfer_arms(given, laws)) if chain else {}
        arms |= peer(f"{names[0]}, FlashInfer's softmax and top-p first", lambda: cut_first(names[0], given))
    if importlib.util.find_spec("sgl_kernel") and not here().rehearsed:
        arms |= peer("SGLang", lambda: sglang_arms(given, laws))
    found = {name: timed(arm, SLOW if name.endswith(", torch") else rounds) for name, arm in arms.items()}
    for name in names:
        for rows, width in (("", 4), (", logits", 2)):
            read = [read_rows(name, *each, laws=not rows) for each in zip(given, laws, strict=True)]
            found[f"{name}{rows}, floor"] = 1e6 * statistics.mean(read) * width * vocabulary / rate
    return found


def peer(name: str, made: Callable[[], Arms]) -> Arms:
    """The arms of another package, or one that says why there are none."""
    try:
        return made()
    except Exception as problem:  # a package that does not fit raises anything
        reason = problem

        def fails(_: int) -> None:
            raise reason

        return {name: fails}


def timed(arm: Callable[[int], Any], rounds: int) -> Any:
    """Microseconds of an arm, or why it cannot run here: what others compile, or ask for, may not be there."""
    try:
        return here().microseconds(arm, rounds)
    except Exception as problem:
        return f"not run: {' '.join(str(problem).split())[-200:] or type(problem).__name__}"


def whole(logits: Tensor) -> Tensor:
    """The law of logits, as torch has it in one pass."""
    return torch.softmax(logits, -1, dtype=torch.float32)


def chosen(size: int, vocabulary: int, rounds: int) -> dict[str, float]:
    """The times of `recursive` from probabilities and from logits, by layout and blocks."""
    given = [drawn(SHAPES["rsd-s (5,6)"], size, vocabulary, seed) for seed in range(TURNS)]
    laws = [tuple(whole(logits) for logits in each[1:3]) for each in given]
    found = {}
    for layout, blocks in itertools.product(
        (None, *device.LAYOUTS[1:]), (None, *here().blocks) if len(here().blocks) > 1 else (None,)
    ):
        kernel = attrs.evolve(here().rule("recursive"), layout=layout, blocks=blocks)
        arms = of_kernel("recursive", kernel, given, laws)
        for name, arm in itertools.islice(arms.items(), 2):
            found[f"{name}, {layout or 'chosen'}, {blocks or 'chosen'}"] = here().microseconds(arm, rounds)
    return found


def of_rule(name: str, given: list[Any], laws: list[Any]) -> Arms:
    reference: Any = rule(name)

    def torch_verify(place: int) -> Any:
        trees, _, _, accept, final = given[place % len(given)]
        return reference.verify(trees, *laws[place % len(laws)], accept, final)

    arms = of_kernel(name, here().rule(name), given, laws)
    return arms | ({f"{name}, torch": torch_verify} if laws[0][0].numel() < 2**28 else {})


def of_kernel(name: str, ours: Any, given: list[Any], laws: list[Any]) -> Arms:
    def verify(place: int) -> Any:
        trees, _, _, accept, final = given[place % len(given)]
        return ours.verify(trees, *laws[place % len(laws)], accept, final)

    def fused(place: int) -> Any:
        trees, target, draft, accept, final = given[place % len(given)]
        return ours.from_logits(trees, target, draft, accept, final, sampling=Sampling())

    def top_p(place: int) -> Any:
        trees, target, draft, accept, final = given[place % len(given)]
        return ours.from_logits(trees, target, draft, accept, final, sampling=Sampling(top_p=TOP_P))

    def softmax_first(place: int) -> Any:
        trees, target, draft, accept, final = given[place % len(given)]
        return ours.verify(trees, whole(target), whole(draft), accept, final)

    return {
        name: verify,
        f"{name}, logits": fused,
        f"{name}, logits, top-p": top_p,
        f"{name}, softmax first": softmax_first,
    }


def flashinfer_arms(given: list[Any], laws: list[Any]) -> Arms:
    """The chain kernel of serving engines, and a softmax before it."""
    from flashinfer import sampling  # type: ignore[import-not-found, unused-ignore]

    ids = [each[0].tokens[:, 1:].int() for each in given]
    drafts = [q[:, :-1].contiguous() for _, q in laws]
    logits = [(each[1].flatten(0, 1), each[2][:, :-1].flatten(0, 1)) for each in given]

    def verify(place: int) -> Any:
        turn = place % len(given)
        return sampling.chain_speculative_sampling(drafts[turn], ids[turn], laws[turn][0])

    def after(softmax: Callable[[Tensor], Tensor]) -> Callable[[int], Any]:
        def arm(place: int) -> Any:
            turn = place % len(given)
            p, q = map(softmax, logits[turn])
            return sampling.chain_speculative_sampling(q.view_as(drafts[turn]), ids[turn], p.view_as(laws[turn][0]))

        return arm

    return {
        "FlashInfer": verify,
        "FlashInfer, torch's softmax first": after(whole),
        "FlashInfer, its softmax first": after(lambda rows: sampling.softmax(rows.float(), temperature=1.0)),
    }


def cut_first(name: str, given: list[Any]) -> Arms:
    """Our verdict after FlashInfer's softmax and top-p of all rows."""
    from flashinfer import sampling  # type: ignore[import-not-found, unused-ignore]

    ours = here().rule(name)

    def law(logits: Tensor) -> Tensor:
        rows = sampling.softmax(logits.flatten(0, 1).float(), temperature=1.0)
        cut: Tensor = sampling.top_p_renorm_probs(rows, TOP_P)
        return cut.view(logits.shape)

    def arm(place: int) -> Any:
        trees, target, draft, accept, final = given[place % len(given)]
        return ours.verify(trees, law(target), law(draft), accept, final)

    return {f"{name}, FlashInfer's softmax and top-p first": arm}


def sglang_arms(given: list[Any], laws: list[Any]) -> Arms:
    """The tree kernel of serving engines: `target-only` in our words."""
    from sgl_kernel import (  # type: ignore[import-not-found, unused-ignore]
        tree_speculative_sampling_target_only,
    )

    size, most, vocabulary = laws[0][0].shape
    parents = given[0][0].parents[0].tolist()
    child = [next((x for x in range(most) if parents[x] == node), -1) for node in range(most)]
    younger = [next((x for x in range(node + 1, most) if parents[x] == parents[node]), -1) for node in range(most)]
    links = [torch.tensor(each, device=here().device).expand(size, -1).contiguous() for each in (child, younger)]
    index = torch.arange(size * most, device=here().device).view(size, most)
    coins = [(each[3] / 2**24, each[4][:, 0] / 2**32) for each in given]
    predicts, accepted = torch.empty(size * most, dtype=torch.int32, device=here().device), index.int()
    counts = torch.empty(size, dtype=torch.int32, device=here().device)
    drafts = torch.zeros(size, most, vocabulary, device=here().device)  # of which it writes a few entries

    def judged(place: int, p: Tensor) -> Any:
        tokens = given[place % len(given)][0].tokens
        outputs = (predicts, accepted, counts)
        tree_speculative_sampling_target_only(*outputs, tokens, index, *links, *coins[place % len(given)], p, drafts)

    return {
        "SGLang": lambda place: judged(place, laws[place % len(laws)][0]),
        "SGLang, softmax first": lambda place: judged(place, whole(given[place % len(given)][1])),
    }


LOOKS = ("single", "multiround", "recursive")
"""Rules that read the rows of a node only once its first child is rejected."""


def read_rows(name: str, given: Any, rows: Any, *, laws: bool) -> int:
    """Rows that walks read, each once: both laws of a node with children, the target's of another.

    `laws`: they are probabilities, of which two can tell enough.
    """
    trees, _, _, accept, final = given
    verdict = here().rule(name).verify(trees, *rows, accept, final)
    above, node = trees.parents.clamp(min=0), torch.arange(trees.parents.shape[1], device=trees.parents.device)
    inner = torch.zeros_like(trees.tokens).scatter(1, above[:, 1:], 1)
    eldest = torch.full_like(above, len(node)).scatter_reduce(1, above[:, 1:], node[1:].expand_as(above[:, 1:]), "amin")
    nodes = torch.cat([torch.zeros_like(verdict.length)[:, None], verdict.path], 1)  # b k
    after = torch.cat([verdict.path, torch.full_like(verdict.length, -1)[:, None]], 1)
    seen = (eldest.gather(1, nodes.clamp(min=0)) == after) & (laws and name in LOOKS)
    read = torch.where((nodes >= 0) & ~seen, 1 + inner.gather(1, nodes.clamp(min=0)) * (name != "target-only"), 0)
    return int(read.sum())


if __name__ == "__main__":
    main()
