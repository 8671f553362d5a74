"""Images a second of class-conditional sampling with guidance on a CPU: ours beside LlamaGen's own loop.

Both have the same weights, in LlamaGen's layout, and its public settings: guidance of scale 4, the 2,000 likeliest ids
at temperature 1, 8 images. The number of ids is that of a 256 by 256 image; of 45 million parameters, all are random.
The loop is that of FoundationVision/LlamaGen, autoregressive/models/generate.py, in plain torch (`llamagen.py`); ours
is `ancestral` on the prior `llamagen` within `guided`, with packed weights. Processor time of one thread.

Usage: python bench/sampling.py [--layers N] [--width N] [--heads N] [--batch N] [--length N] [--rounds N] [--json]
"""

import argparse
import time
from typing import Any

import torch
from llamagen import LlamaGenLoop
from side_by_side import keep, options, ratio, seconds, show, spread
from torch import Tensor, nn

from crt_ar.grid import GridTransformer
from crt_ar.specs import LlamaGen
from crt_basics.decoders.specs import Ancestral
from crt_basics.priors.guided import Guided
from crt_nn.packed import pack
from crtcore import Limits, Sampling
from crtcore.kinds import Request

CODES, CLASSES = 16_384, 1_000
SCALE, TOP_K = 4.0, 2_000
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def main() -> None:
    arguments = options(
        "Sampling of images by class beside LlamaGen's loop.", layers=8, width=512, heads=8, batch=8, length=256
    )
    numbers: dict[str, Any] = {
        name: getattr(arguments, name) for name in ("layers", "width", "heads", "batch", "length")
    }
    for name, dtype in DTYPES.items():
        numbers |= measured(name, dtype, arguments)
    keep("sampling", [], numbers, arguments)


def measured(name: str, dtype: torch.dtype, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures and prints the table of a type."""
    torch.manual_seed(0)
    spec = LlamaGen(layers=arguments.layers, width=arguments.width, heads=arguments.heads)
    prior = GridTransformer(spec, CODES, arguments.length, CLASSES)
    nn.init.normal_(prior.head.weight, std=arguments.width**-0.5)  # it starts at 0
    prior = prior.to(dtype).eval().requires_grad_(False)
    loop = LlamaGenLoop(prior, arguments.length, scale=SCALE, top_k=TOP_K)
    guided, decoder = Guided(prior, scale=SCALE), Ancestral().build()
    classes = torch.arange(arguments.batch) % CLASSES
    nothing = torch.empty(arguments.batch, 0, dtype=torch.int64)

    def ours(temperature: float = 1.0) -> Tensor:
        sampling = Sampling(temperature=temperature, top_k=TOP_K)
        return decoder.generate(guided, Request(nothing, Limits(length=arguments.length), sampling, classes)).ids

    def theirs() -> Tensor:
        return loop.generate(classes)

    if dtype == torch.float32:  # before packing, so that both round alike
        assert torch.equal(ours(0.0), loop.generate(classes, sample=False)), "the two are not the same model"
    packing = pack(prior)
    taken = seconds({"ours": ours, "LlamaGen's loop": theirs}, arguments.rounds, time.process_time)
    faster = ratio(taken["LlamaGen's loop"], taken["ours"])
    count = sum(each.numel() for each in prior.parameters())
    print(
        f"{name}: torch {torch.__version__}, {count / 1e6:.0f} million parameters, {arguments.layers} layers of "
        f"{arguments.width}, batch {arguments.batch}, {arguments.length} ids; {packing}"
    )
    rates = {way: spread([arguments.batch / each for each in times]) for way, times in taken.items()}
    show(("", "images a second", "seconds"), [(way, f"{rates[way]:.3f}", f"{spread(taken[way]):.2f}") for way in taken])
    print(f"ours / LlamaGen's loop: {faster:.2f}", flush=True)
    rated = {f"{name}, {way}, images a second": rate for way, rate in rates.items()}
    return {f"{name}, parameters": count, **rated, f"{name}, speed ratio": faster}


if __name__ == "__main__":
    main()
