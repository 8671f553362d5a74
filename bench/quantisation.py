"""Time and memory of quantising vectors, ours against vector-quantize-pytorch's, on the same entries.

Both compare by Euclidean distance, average entries with a decay of 0.8 and weigh the commitment by 1, which are the
peer's defaults. A training step is forward, backward and the update of the entries. Memory is the peak of a process of
its own, minus what it held before its first call. The step has fewer vectors (`--trained`): with 65,536 the peer needs
more than 24 GB.

Usage: python bench/quantisation.py [--vectors N] [--trained N] [--codes N] [--width N] [--rounds N] [--threads N]
[--json]
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from side_by_side import keep, options, ratio, seconds, show, spread
from torch import Tensor

import crtcore

PEER = "vector-quantize-pytorch"
SIDES, WORKS = ("ours", PEER), ("forward", "training step")
DECAY = 0.8


def main() -> None:
    arguments = options(
        "Quantisation beside vector-quantize-pytorch.", vectors=65_536, trained=32_768, codes=16_384, width=8
    )
    measured = os.environ.get("BENCH_MEMORY_OF")
    if measured:
        print(peak(*measured.split(":"), arguments))
        return
    quantisers = {side: built(side, arguments) for side in SIDES}
    agree = agreement(quantisers, drawn("forward", arguments))
    rows, numbers = [], {"codes": arguments.codes, "width": arguments.width, "same_ids": agree}
    for work in WORKS:
        vectors = drawn(work, arguments)
        numbers[f"{work}, vectors"] = vectors.shape[1]
        taken = seconds({side: acts(quantisers[side], vectors, work) for side in SIDES}, arguments.rounds)
        memory = {side: memory_of(side, work) for side in SIDES}
        faster, smaller = ratio(taken["ours"], taken[PEER]), memory["ours"] / memory[PEER]
        for side in SIDES:
            time = spread(taken[side])
            numbers[f"{side}, {work}, seconds"] = time
            numbers[f"{side}, {work}, bytes"] = memory[side]
            rows.append((f"{work}, {vectors.shape[1]} vectors", side, f"{time:.3f}", f"{memory[side] / 2**20:.0f}"))
        numbers |= {f"{work}, time ratio": faster, f"{work}, memory ratio": smaller}
        rows.append(("", "ratio", f"{faster:.3f}", f"{smaller:.4f}"))
    print(f"torch {torch.__version__}, {arguments.threads} threads, {arguments.codes} codes of {arguments.width}")
    print(f"medians (least to most) of {arguments.rounds} rounds; the same ids for {agree:.4%} of vectors")
    show(("", "", "seconds", "MiB"), rows)
    keep("quantisation", [PEER], numbers, arguments)


def drawn(work: str, arguments: argparse.Namespace) -> Tensor:
    count = arguments.vectors if work == "forward" else arguments.trained
    return torch.randn(1, count, arguments.width, generator=torch.Generator().manual_seed(1))


def built(side: str, arguments: argparse.Namespace) -> Any:
    entries = torch.randn(arguments.codes, arguments.width, generator=torch.Generator().manual_seed(0))
    if side == "ours":
        vq = crtcore.discover().find("bottleneck", "vq").spec
        ours = vq(
            codes=arguments.codes, width=arguments.width, compare="euclidean", decay=DECAY, commitment=1.0
        ).build()
        ours.entries.data.copy_(entries)
        return ours
    from vector_quantize_pytorch import VectorQuantize

    peer = VectorQuantize(dim=arguments.width, codebook_size=arguments.codes, decay=DECAY, commitment_weight=1.0)
    peer._codebook.embed.data.copy_(entries[None])
    peer._codebook.embed_avg.data.copy_(entries[None])
    return peer


def quantised(quantiser: Any, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Codes, ids and loss."""
    if hasattr(quantiser, "spec"):
        made = quantiser(vectors)
        return made.codes, made.ids, made.loss
    return quantiser(vectors)


def acts(quantiser: Any, vectors: Tensor, work: str) -> Callable[[], object]:
    def forward() -> None:
        with torch.no_grad():
            quantised(quantiser.eval(), vectors)

    def step() -> None:
        features = vectors.clone().requires_grad_()
        codes, _, loss = quantised(quantiser.train(), features)
        (loss.sum() + codes.square().mean()).backward()  # so that the codes have a gradient

    return forward if work == "forward" else step


@torch.no_grad()
def agreement(quantisers: dict[str, Any], vectors: Tensor) -> float:
    """Share of vectors that both give the same id."""
    ours, theirs = (quantised(quantisers[side].eval(), vectors)[1] for side in SIDES)
    return (ours == theirs).double().mean().item()


def memory_of(side: str, work: str) -> int:
    """Peak bytes of a side, measured in a process of its own."""
    command = [sys.executable, __file__, *(word for word in sys.argv[1:] if word != "--json")]
    completed = subprocess.run(
        command, env=os.environ | {"BENCH_MEMORY_OF": f"{side}:{work}"}, capture_output=True, text=True, check=True
    )
    return int(completed.stdout)


def peak(side: str, work: str, arguments: argparse.Namespace) -> int:
    """Peak resident bytes in two calls, minus those before the first."""
    act = acts(built(side, arguments), drawn(work, arguments), work)
    before = resident("VmRSS")
    act()
    act()
    return resident("VmHWM") - before


def resident(entry: str) -> int:
    """Resident bytes now (`VmRSS`) or at their peak (`VmHWM`); Linux only."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{entry}:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main()
