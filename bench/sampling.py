"""Images a second of class-conditional sampling with a cache: `ancestral` on the prior `transformer`, and `generate`.

Both have the same weights and sample every id from the whole distribution at temperature 1. Codes, classes, batch and
distribution are the defaults of FoundationVision/LlamaGen, autoregressive/sample/sample_c2i_ddp.py. The number of ids
is that of a 256 by 256 image, and the shape is CRT's 52M. The floor is the time to read the weights of blocks and
output layer once per id, at the rate of a product with a matrix too large for any cache.

Usage: python bench/sampling.py [--layers N] [--width N] [--heads N] [--batch N] [--length N] [--rounds N] [--threads N]
       [--json]
"""

import argparse
import statistics

import torch
from llama import llama_ids, llama_of, with_random_head
from side_by_side import keep, options, ratio, seconds, show, spread
from torch import Tensor

import crtcore
from crt_nn.packed import pack
from crtcore import Limits, Sampling
from crtcore.kinds import Request

CODES, CLASSES = 16_384, 1_000
SHOWN = 16
"""Ids that both must generate alike at temperature 0."""
BYTES = 2**28


def main() -> None:
    arguments = options(
        "Cached sampling beside transformers' generate.", layers=6, width=640, heads=10, batch=32, length=256
    )
    find = crtcore.discover().find
    torch.manual_seed(0)
    spec = find("prior", "transformer").spec(layers=arguments.layers, width=arguments.width, heads=arguments.heads)
    prior = with_random_head(spec.build(CODES, arguments.length, CLASSES)).eval().requires_grad_(False)
    llama, decoder = llama_of(prior), find("decoder", "ancestral").spec().build()
    print(pack(prior))
    classes = torch.arange(arguments.batch) % CLASSES
    nothing = torch.empty(arguments.batch, 0, dtype=torch.int64)

    def ours(length: int = arguments.length, temperature: float = 1.0) -> Tensor:
        request = Request(nothing, Limits(length=length), Sampling(temperature=temperature), classes)
        return decoder.generate(prior, request).ids

    def theirs(length: int = arguments.length, *, sample: bool = True) -> Tensor:
        whole = {"top_k": 0} if sample else {}  # the default keeps 50 ids
        return llama.generate(
            llama_ids(prior, nothing, classes), max_new_tokens=length, do_sample=sample, eos_token_id=None,
            pad_token_id=0, **whole,
        )[:, 1:]  # fmt: skip

    assert torch.equal(ours(SHOWN, 0.0), theirs(SHOWN, sample=False)), "the two are not the same model"
    taken = seconds({"ours": ours, "transformers": theirs}, arguments.rounds)
    floor = arguments.length * read_once(prior) / bandwidth(arguments)
    report(arguments, taken, floor)


def read_once(prior: torch.nn.Module) -> int:
    """Bytes of all weights except the embeddings, of which a step reads a few rows."""
    return sum(
        weight.numel() * weight.element_size()
        for name, weight in prior.named_parameters()
        if name not in ("embedding.weight", "prefixes.weight")
    )


def bandwidth(arguments: argparse.Namespace) -> float:
    """Bytes a second."""
    matrix, vector = torch.ones(BYTES // 4 // 4096, 4096), torch.ones(4096)
    return BYTES / statistics.median(seconds({"": lambda: matrix @ vector}, max(arguments.rounds, 5))[""])


def report(arguments: argparse.Namespace, taken: dict[str, list[float]], floor: float) -> None:
    rates = {name: spread([arguments.batch / each for each in times]) for name, times in taken.items()}
    faster = ratio(taken["transformers"], taken["ours"])
    above = spread([each / floor for each in taken["ours"]])
    print(
        f"torch {torch.__version__}, {arguments.threads} threads, {arguments.layers} layers of {arguments.width}, "
        f"{arguments.heads} heads, {CODES} codes, batch {arguments.batch}, {arguments.length} ids"
    )
    print(f"medians (least to most) of {arguments.rounds} rounds")
    rows = [(name, f"{rate:.3f}", f"{spread(taken[name]):.2f}") for name, rate in rates.items()]
    rows.append(("floor", f"{arguments.batch / floor:.3f}", f"{floor:.2f}"))
    show(("", "images a second", "seconds"), rows)
    print(f"ours / transformers: {faster:.2f}; time of ours / floor: {above:.2f}")
    numbers = {name: getattr(arguments, name) for name in ("layers", "width", "heads", "batch", "length")}
    rated = {f"{name}, images a second": rate for name, rate in rates.items()}
    rest = {"floor, images a second": arguments.batch / floor, "speed ratio": faster, "time over floor": above}
    keep("sampling", ["transformers"], numbers | rated | rest, arguments)


if __name__ == "__main__":
    main()
