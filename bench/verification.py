"""Milliseconds of a verdict on a CPU by the torch reference and by the host build of the kernels, and of decoding.

Verdicts: decoders draft trees where target and draft are one row of random logits each, a small distance apart. Both
sides verify the same rounds, and their verdicts are equal in every bit before anything is timed. Decoding: `rsd-s` with
an untrained transformer of 5M parameters and a draft, with random output layers; both sides generate the same ids.

Usage: python bench/verification.py [--judged N] [--length N] [--rounds N] [--threads N] [--json]
"""

import argparse
import contextlib
import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from side_by_side import Spread, keep, options, ratio, seconds, show, spread
from torch import Tensor, nn

import crtcore
from crtcore import Limits
from crtcore.kinds import Request

VOCABULARIES, BATCHES = (1024, 32_000), (1, 8)
TREES: dict[str, tuple[str, dict[str, Any]]] = {
    "chain 5": ("sd", {"length": 5}),
    "rsd-c (5,1,1,1,1,1)": ("rsd-c", {"branching": (5, 1, 1, 1, 1, 1)}),
    "rsd-s (5,6)": ("rsd-s", {"width": 5, "length": 6}),
}
SIDES = {"reference": "torch", "host build": "kernels"}
NOISE = 0.5
"""Standard deviation of the difference between the logits of draft and target, which have standard deviation 2."""
SHAPES = {"prior": {"layers": 5, "width": 256, "heads": 4}, "draft": {"layers": 1, "width": 64, "heads": 2}}
PROMPT = 32

find = crtcore.discover().find


def main() -> None:
    arguments = options("Verdicts and decoding, by the reference and by the host build.", judged=4, length=96)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {arguments.threads} threads, medians of {arguments.rounds} rounds")
    with torch.inference_mode():
        numbers = {"judged": arguments.judged, "length": arguments.length, **time_verdicts(arguments)}
        for size in BATCHES:
            numbers |= decoding(size, arguments)
    keep("verification", [], numbers, arguments)


def time_verdicts(arguments: argparse.Namespace) -> dict[str, Spread]:
    rows, numbers = [], {}
    for vocabulary, size, tree in itertools.product(VOCABULARIES, BATCHES, TREES):
        taken = verdicts(vocabulary, size, tree, arguments)
        milliseconds = {side: spread([1000 * each for each in times]) for side, times in taken.items()}
        faster = ratio(taken["reference"], taken["host build"])
        rows.append(
            (
                str(vocabulary),
                str(size),
                tree,
                *(f"{each.median:.3f}" for each in milliseconds.values()),
                f"{faster:.0f}",
            )
        )
        name = f"verdict, {vocabulary} ids, batch {size}, {tree}"
        numbers |= {f"{name}, {side}, milliseconds": each for side, each in milliseconds.items()}
        numbers[f"{name}, speed ratio"] = faster
    show(("vocabulary", "batch", "tree", *(f"{side}, ms" for side in SIDES), "times the speed"), rows)
    return numbers


def verdicts(vocabulary: int, size: int, tree: str, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of a verdict by each side, after their bits are compared."""
    name, words = TREES[tree]
    rounds = recorded_rounds(find("decoder", name).spec(**words).build(), vocabulary, size, arguments.judged)
    verifiers = {
        side: find("decoder", name).spec(verification=how, **words).build().verifier for side, how in SIDES.items()
    }
    for each in rounds:
        one, other = (verifier.verify(*each) for verifier in verifiers.values())
        assert all(map(torch.equal, one, other)), "the two do not give the same bits"
    assert verifiers["host build"].backend.startswith("kernels"), verifiers["host build"].backend
    arms = {
        side: lambda verifier=verifier: [verifier.verify(*each) for each in rounds]
        for side, verifier in verifiers.items()
    }
    return {side: [each / len(rounds) for each in times] for side, times in seconds(arms, arguments.rounds).items()}


class Enough(Exception):
    """Enough rounds are recorded."""


def recorded_rounds(decoder: Any, vocabulary: int, size: int, count: int) -> list[tuple[Any, ...]]:
    """The inputs of a decoder's rule in its first rounds with whole trees."""
    target, draft = (find("prior", "table").spec(order=0).build(vocabulary, 1, None).float() for _ in range(2))
    target.logits.mul_(2)
    draft.logits.copy_(target.logits + NOISE * draft.logits)
    calls: list[tuple[Any, ...]] = []
    verify, nodes = decoder.verifier.verify, decoder.drafter.nodes

    def recorded(trees: Any, p: Tensor, *rest: Tensor) -> Any:
        if p.shape[1] == nodes:
            calls.append((trees, p, *rest))
        if len(calls) == count:
            raise Enough
        return verify(trees, p, *rest)

    decoder.verifier.verify = recorded
    with contextlib.suppress(Enough):
        generated(decoder, target, draft, size, (count + 2) * nodes)
    assert len(calls) == count
    return calls


def generated(decoder: Any, target: Any, draft: Any, size: int, length: int) -> Any:
    request = Request(torch.ones(size, PROMPT, dtype=torch.int64), Limits(length=length))
    return decoder.generate(target, request, draft=draft)


def decoding(size: int, arguments: argparse.Namespace) -> dict[str, Any]:
    priors = [find("prior", "transformer").spec(**shape).build(VOCABULARIES[0], 256, None) for shape in SHAPES.values()]
    for prior in priors:
        nn.init.normal_(prior.eval().head.weight, std=prior.head.weight.shape[1] ** -0.5)
    name, words = TREES["rsd-s (5,6)"]
    decoders = {side: find("decoder", name).spec(verification=how, **words).build() for side, how in SIDES.items()}
    acts = {side: partial(generated, decoder, *priors, size, arguments.length) for side, decoder in decoders.items()}
    one, other = (act() for act in acts.values())
    assert torch.equal(one.ids, other.ids), "the two do not generate the same ids"
    taken = seconds(acts, arguments.rounds)
    rates = {side: spread([size * arguments.length / each for each in times]) for side, times in taken.items()}
    shares = {side: share(decoders[side].verifier, act) for side, act in acts.items()}
    faster = ratio(taken["reference"], taken["host build"])
    sizes = " and ".join(f"{sum(each.numel() for each in prior.parameters()) / 1e6:.2g}M" for prior in priors)
    calls = size * arguments.length / int(one.target_calls.sum())
    print(f"\nrsd-s (5,6), batch {size}, {sizes} parameters, {VOCABULARIES[0]} ids, {calls:.2f} ids a call")
    rows = [(side, f"{rate:.0f}", f"{shares[side]:.1%}") for side, rate in rates.items()]
    show(("", "ids a second", "share of verdicts"), rows)
    print(f"times the speed: {faster:.2f}")
    about = {"ids a call": calls, "speed ratio": faster}
    about |= {f"{side}, ids a second": rate for side, rate in rates.items()}
    about |= {f"{side}, share of verdicts": each for side, each in shares.items()}
    return {f"decoding, batch {size}, {name}": value for name, value in about.items()}


def share(verifier: Any, act: Callable[[], Any]) -> float:
    """The share of its time that goes into verdicts."""
    verify, spent = verifier.verify, []

    def timed(*words: Any) -> Any:
        began = time.perf_counter()
        verdict = verify(*words)
        spent.append(time.perf_counter() - began)
        return verdict

    verifier.verify = timed
    began = time.perf_counter()
    act()
    whole = time.perf_counter() - began
    del verifier.verify
    return sum(spent) / whole


if __name__ == "__main__":
    main()
