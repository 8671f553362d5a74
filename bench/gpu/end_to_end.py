"""What verification and the commit of keys and values take of a decoding step on this GPU.

Two pairs with random weights in bfloat16 draft and verify trees after a cached prompt: a target of Llama-7B's shape
with a draft of 117M parameters, and one of the shape of SmolLM2-135M with a draft of 18M. Their logits are computed and
then replaced by a pair of distributions with a chosen overlap, as random models never agree. Parts of a step by CUDA
events, medians over steps; keys and values are committed by our kernel in one launch, and beside it by the session
itself. Launches are not captured in a graph, so that at batch 1 every part but the kernels waits for the CPU. Without a
GPU it prints so, and writes nothing.

Usage: python bench/gpu/end_to_end.py [--rounds N] [--pair 7B|135M|small ...] [--batch B ...] [--cached C] [--overlap A]
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any, NamedTuple

import torch
from kept import keep
from machine import here
from timed_step import REPLACED, Clock, Setup, Steps
from torch import Tensor

from crt_ar.llama.network import LlamaTransformer
from crt_ar.llama.shape import LlamaShape
from crt_verify.drafters import Beam, Chain, Drafter
from crt_verify.verdict import check


class Pair(NamedTuple):
    """A target and its draft."""

    vocabulary: int
    target: LlamaShape
    draft: LlamaShape


PAIRS: dict[str, Pair] = {
    # Touvron et al. (2023), arXiv:2302.13971, table 2 and section 2.2; the draft is ours
    "7B": Pair(
        32_000,
        LlamaShape(32, 4096, 32, 32, 11008, tied=False, base=10_000.0),
        LlamaShape(4, 1024, 8, 8, 2816, tied=False, base=10_000.0),
    ),
    # HuggingFaceTB/SmolLM2-135M, config.json; the draft is ours
    "135M": Pair(
        49_152,
        LlamaShape(30, 576, 9, 3, 1536, tied=True, base=100_000.0),
        LlamaShape(4, 288, 9, 3, 768, tied=True, base=100_000.0),
    ),
    # to try the bench itself
    "small": Pair(1000, LlamaShape(2, 64, 4, 2, 96, tied=True), LlamaShape(1, 32, 2, 1, 48, tied=True)),
}
DRAFTERS: dict[str, tuple[Drafter, str]] = {
    "chain 5": (Chain(length=5), "single"),
    "rsd-s (5,6)": (Beam(width=5, length=6), "recursive"),
}
WARM = 3
"""Steps before those that count."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--pair", nargs="+", choices=list(PAIRS), default=["7B", "135M"])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--cached", type=int, default=1024)
    parser.add_argument("--overlap", type=float, default=0.7)
    arguments = parser.parse_args()
    here()
    rows: list[dict[str, Any]] = []
    for name in arguments.pair:
        target, draft = built(PAIRS[name])
        for size in arguments.batch:
            for shape, (drafter, rule) in DRAFTERS.items():
                setup = Setup(target, draft, drafter, here().rule(rule), arguments.overlap)
                for together in (True, False):
                    prompt = torch.randint(PAIRS[name].vocabulary, (size, arguments.cached), device=here().device)
                    measurements = fitting(setup, prompt, arguments.rounds, together=together)
                    rows.append({"pair": name, "batch": size, "tree": shape, "one launch": together, **measurements})
                    print(rows[-1], flush=True)
                    keep("end_to_end", {**vars(arguments), "microseconds": rows})
                    here().finish()
        del target, draft, setup
        here().finish()
    shares = {
        name: max(
            (row["share"] for row in rows if row["pair"] == name and row["one launch"] and "share" in row), default=None
        )
        for name in arguments.pair
    }
    listed = ", ".join(f"{name} {'not run' if share is None else f'{share:.1%}'}" for name, share in shares.items())
    print(f"{len(rows)} rows; share of verification and commits in a step, at most (goal for 7B: 2 %): {listed}")


def built(pair: Pair) -> tuple[LlamaTransformer, LlamaTransformer]:
    """The two networks, with random weights; torch's own attention, whatever else is installed."""
    with torch.device(here().device):
        target, draft = (
            LlamaTransformer(shape, pair.vocabulary, None, start=1, attention="sdpa").bfloat16()
            for shape in (pair.target, pair.draft)
        )
        target.reset_parameters()
        draft.reset_parameters()
    return target, draft


def fitting(setup: Setup, prompt: Tensor, rounds: int, *, together: bool) -> dict[str, Any]:
    """As `measured`, or a message if memory does not suffice."""
    try:
        return measured(setup, prompt, rounds, together=together)
    except torch.OutOfMemoryError as problem:
        return {"not run": str(problem).split(". ")[0]}


def measured(setup: Setup, prompt: Tensor, rounds: int, *, together: bool) -> dict[str, Any]:
    """Ids of a step, microseconds of its parts, and the share of verification and commits."""
    clock = Clock(here().mark, here().between)
    steps = Steps(setup, prompt, clock, steps=WARM + rounds, together=together)
    verdicts = [steps.step()[0] for _ in range(WARM + rounds)]
    here().finish()
    for verdict in verdicts:
        check(verdict)
    ids = 1 + torch.stack([verdict.length for verdict in verdicts]).double().mean().item()
    return {"ids": ids, **summary(clock.spent()[WARM:])}


def summary(steps: list[dict[str, float]]) -> dict[str, Any]:
    """Medians over steps, and the share of verification and commits in a step, without the replacement of logits."""
    parts = {part: statistics.median(step[part] for step in steps) for part in steps[0]}
    share = parts["verification"] + parts["commit"] + parts["draft commit"]
    return {"parts": parts, "share": share / (sum(parts.values()) - parts[REPLACED])}


if __name__ == "__main__":
    main()
