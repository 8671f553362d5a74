"""Tests samples of decoders with drafts against the law of a real model, by a G-test of whole rows of ids.

Usage: generate_law.py FOLDER [--samples 2000] [--json FILE]

Three ids after a short prompt, at temperature 0.7 behind top-k 4, whose law is computed from the model's own logits.
The draft is the model with noise on its weights, so that it is often right. The rate of false alarms is 0.001. A
decoder that draws at temperature 0.8 is tested too, so that a difference can be seen to be reported.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from crt_ar.llama.files import read_llama
from crt_nn.packed import pack
from crt_run.sampling import probabilities
from crt_verify.audit.sampled import audit_samples
from crtcore import Limits, Sampling
from crtcore.kinds import Prior, Request
from crtcore.registry import discover

TEXT = "The weather today is"
LENGTH, ROWS = 3, 100
SAMPLING = Sampling(temperature=0.7, top_k=4)
DECODERS = ("lookup", "sd", "rsd-s")
NOISE = 0.1
"""On each weight of the draft, in standard deviations of its matrix."""


def draws(name: str, target: Prior, draft: Prior, prompt: list[int], sampling: Sampling, accepted: list[float]) -> Any:
    """A box that draws rows of ids by a decoder, and notes how many drafted ids a row accepted."""
    spec: Any = discover().find("decoder", name).spec()
    decoder, first = spec.build(), 0

    def draw(count: int) -> Iterable[list[int]]:
        nonlocal first
        for start in range(0, count, ROWS):
            rows = min(ROWS, count - start)
            seeds = torch.arange(first, first + rows)
            request = Request(torch.tensor([prompt] * rows), Limits(length=LENGTH), sampling, seeds=seeds)
            made = decoder.generate(target, request, draft=draft if spec.drafts else None)
            accepted.append(float(made.accepted.clamp(min=0).sum() / rows))
            first += rows
            yield from made.ids.tolist()

    return draw


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--json", type=Path, help="a file for the reports")
    args = parser.parse_args()
    torch.set_num_threads(1)
    target = read_llama(args.folder).requires_grad_(False)
    draft = copy.deepcopy(target)
    torch.manual_seed(0)
    for weight in draft.parameters():
        weight.add_(NOISE * weight.std() * torch.randn_like(weight))
    print(pack(target))
    pack(draft)
    prompt = AutoTokenizer.from_pretrained(args.folder, local_files_only=True)(TEXT)["input_ids"]

    @cache
    def law(ids: tuple[int, ...]) -> dict[int, float]:
        row = probabilities(target(torch.tensor([[*prompt, *ids]]))[0, -1].double(), SAMPLING)
        return {x: float(row[x]) for x in row.nonzero()[:, 0].tolist()}

    record: dict[str, Any] = {}
    other = Sampling(temperature=0.8, top_k=4)
    with torch.inference_mode():
        for name, sampling in (*((name, SAMPLING) for name in DECODERS), ("lookup", other)):
            accepted: list[float] = []
            box = draws(name, target, draft, prompt, sampling, accepted)
            report = audit_samples(box, law, length=LENGTH, samples=args.samples)
            label = name if sampling is SAMPLING else f"{name} at {sampling.temperature}"
            record[label] = report.as_json()
            print(f"\n{label}, {sum(accepted) / len(accepted):.2f} drafted ids accepted a row: {report}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
