"""Milliseconds of a stage-1 training step, with and without forms of the causal regulariser.

Processor time of one thread, on the quickstart's digits and on 32 by 32 colour images (noise). A form that penalises
every k-th step is timed over whole rounds of k, one that penalises the last part of training over rounds of 20, of
which the last steps have it. So its time is the mean over training.

Usage: python bench/stage_one_step.py [--size 8|32] [--form NAME] [--rounds N] [--json FILE]
"""

import argparse
import itertools
import json
import math
import statistics
import time
from pathlib import Path

import torch
from torch import nn

import crtcore
from crt_run.training.losses import penalised
from crt_run.training.stages import is_due

BATCH, STEPS = 64, 20
FORMS = {
    "tokenizer alone": None,
    "two layers": {"layers": 2},
    "one layer": {"layers": 1},
    "mixing": {"head": "mixing", "layers": 1},
    "linear": {"layers": 0},
    "one layer, every 8": {"layers": 1, "every": 8},
    "mixing, every 2": {"head": "mixing", "layers": 1, "every": 2},
    "mixing, every 3": {"head": "mixing", "layers": 1, "every": 3},
    "masked": {"head": "masked", "layers": 1, "width": 8},
    "masked, every 2": {"head": "masked", "layers": 1, "width": 8, "every": 2},
    "one layer, last 15 %": {"layers": 1, "last": 0.15},
    "two layers, last 10 %": {"layers": 2, "last": 0.1},
}


def stepper(size: int, form: dict | None):
    """A function that takes one step, as the training loop does."""
    find = crtcore.discover().find
    digits = find("dataset", "digits").spec().build().take("train", torch.arange(BATCH)).data
    data = digits if size == 8 else torch.rand(BATCH, 3, size, size, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    tokenizer = find("tokenizer", "conv").spec().build(find("bottleneck", "vq").spec(codes=128).build(), data)
    parts, heads = [tokenizer], {}
    if form is not None:
        spec = find("regularizer", "causal").spec(heads=2, **form)
        heads["causal"] = spec.build(tokenizer), spec.every * spec.weight
        parts.append(heads["causal"][0])
    optimizers = [torch.optim.AdamW(part.parameters(), fused=True) for part in parts]
    steps = itertools.count()

    def step() -> None:
        due = form is None or is_due(spec, next(steps) % turn(form), turn(form))
        loss = penalised(data, tokenizer(data), heads if due else {}, progress=1.0)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.total.backward()
        for part, optimizer in zip(parts, optimizers, strict=True):
            nn.utils.clip_grad_norm_(part.parameters(), 1.0)
            optimizer.step()

    return step


def turn(form: dict | None) -> int:
    """Steps after which a form does the same again."""
    return STEPS if "last" in (form or {}) else (form or {}).get("every", 1)


def times(size: int, forms: dict, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a step of each form, by round; forms take turns, after a first round that does not count."""
    steppers = {name: stepper(size, form) for name, form in forms.items()}
    results = {name: [] for name in forms}
    for number in range(rounds + 1):
        for name, form in forms.items():
            count = turn(form) * math.ceil((STEPS if size == 8 else STEPS // 5) / turn(form))
            start = time.thread_time()
            for _ in range(count):
                steppers[name]()
            if number:
                results[name].append((time.thread_time() - start) / count * 1e3)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, choices=[8, 32], action="append", help="sides of images (both)")
    parser.add_argument("--form", choices=list(FORMS)[1:], action="append", help="beside the tokenizer alone (all)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    forms = {name: form for name, form in FORMS.items() if form is None or name in (options.form or FORMS)}
    rows = []
    for size in options.size or [8, 32]:
        results = times(size, forms, options.rounds)
        alone = results["tokenizer alone"]
        print(f"torch {torch.__version__}, 1 thread, {size} x {size}, batch {BATCH}, {options.rounds} rounds, medians")
        print(f"{'':24}{'ms a step':>12}{'ratio':>8}")
        for name, values in results.items():
            ratio = statistics.median(one / base for one, base in zip(values, alone, strict=True))
            ms = statistics.median(values)
            rows.append({"size": size, "rounds": options.rounds, "form": name, "ms": ms, "ratio": ratio})
            print(f"{name:24}{rows[-1]['ms']:12.1f}{ratio:8.2f}")
    if options.json:
        command = "python bench/stage_one_step.py"
        record = {"name": "stage-one-step", "command": command, "torch": torch.__version__, "rows": rows}
        options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
