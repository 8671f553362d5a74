"""Milliseconds of a stage-1 training step, with and without the causal regulariser.

Usage: python bench/stage_one_step.py
"""

import statistics
import time

import torch

import crtcore
from crt_run.training.losses import penalised

BATCH, ROUNDS, STEPS = 64, 9, 20


def main() -> None:
    torch.set_num_threads(1)
    find = crtcore.discover().find
    digits = find("dataset", "digits").spec().build()
    data = digits.take("train", torch.arange(BATCH)).data
    tokenizer = find("tokenizer", "conv").spec().build(find("bottleneck", "vq").spec(codes=128).build(), data)
    head = find("regularizer", "causal").spec(heads=2).build(tokenizer)
    optimizer = torch.optim.AdamW([*tokenizer.parameters(), *head.parameters()], fused=True)
    arms = {"tokenizer alone": {}, "with causal": {"causal": (head, 1.0)}}

    def step(regularizers) -> None:
        loss = penalised(data, tokenizer(data), regularizers, progress=1.0)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()

    times = {name: [] for name in arms}
    for _ in range(ROUNDS):  # in turns, so that a slow moment of the machine hits both
        for name, regularizers in arms.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                step(regularizers)
            times[name].append((time.perf_counter() - start) / STEPS * 1e3)
    medians = {name: statistics.median(values) for name, values in times.items()}
    alone = medians["tokenizer alone"]
    print(f"torch {torch.__version__}, 1 thread, batch {BATCH}, medians of {ROUNDS} x {STEPS} steps")
    print(f"{'':18}{'ms a step':>12}{'ratio':>8}")
    for name, median in medians.items():
        print(f"{name:18}{median:12.1f}{median / alone:8.2f}")


if __name__ == "__main__":
    main()
