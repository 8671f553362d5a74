"""Peak memory of a rank in training by DDP and by FSDP2, measured on gloo and as `crt cost --devices` predicts it.

Usage: python bench/rank_memory.py [--ranks 2] [--json FILE]

Memory is what torch's allocator has given out, by its profiler: from before the parts are built to the end of three
steps. What a thread of gloo frees is not recorded, and seems to be there to the end: over ranks, the least of three
measurements counts. DDP is wrapped as in training. Sent: what the collectives were given, times what a ring sends of
it. Data are zeros. Activations are what a step keeps: where logits are large, the loss takes more than that for itself,
as the case with a large table shows.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from crtcore import discover
from crtcore.compose.plan import load

SPEC = Path(__file__).resolve().parents[1] / "specs" / "quickstart.toml"
CASES = {
    "prior of 4 blocks": ("prior", ["prior.width=256", "prior.layers=4"]),
    "prior, mostly its table": ("prior", ["prior.width=128", "prior.layers=1", "bottleneck.codes=8192"]),
    "tokenizer with causal head": ("tokenizer", ["tokenizer.channels=192", "bottleneck.codes=512"]),
}
STEPS, TIMES, LIMIT = 3, 3, 240


def planned(words: list[str]):
    """The arm `crt` of the quickstart at other sizes."""
    words = [*words, "training.tokenizer.batch=64", "training.prior.batch=64"]
    return next(point.plan for point in load(SPEC, discover(), tuple(words)).points if point.arm == "crt")


def predicted(stage: str, words: list[str], ranks: int) -> dict[str, tuple[int, float]]:
    """Bytes at the peak and bytes sent in a step, by each way."""
    from crt_cost.outline import outlined
    from crt_cost.ranks import WAYS, share
    from crt_cost.stages import costs, shared

    plan = planned(words)
    data = outlined(plan.parts["dataset"])
    (cost,) = (each for each in costs(shared(plan, ranks), data) if each.stage == stage)
    shares = {way: share(cost.memory, cost.layout, ranks, way) for way in WAYS}
    alone = share(cost.memory, cost.layout, 1, "ddp")
    return {"alone": (alone.memory - alone.buffers, 0.0)} | {
        way: (each.memory, each.sent) for way, each in shares.items()
    }


def measured(stage: str, words: list[str], ranks: int, way: str) -> dict[str, float]:
    """The same, as it is: builds the stage's objective with contents and trains it."""
    import torch
    from torch import nn
    from torch.distributed.fsdp import fully_shard
    from torch.profiler import ProfilerActivity, profile

    from crt_cost.outline import outlined
    from crt_cost.stages import shared
    from crt_nn.block import Block
    from crt_run.training.objective import Inputs, built
    from crt_run.training.outline import BlankData
    from crt_run.training.shares import joining

    class Whole(nn.Module):
        """All parts; what DDP and FSDP2 wrap, so that forward is the loss."""

        def __init__(self, objective) -> None:
            super().__init__()
            self.parts = nn.ModuleList(part.module for part in objective.parts.values())
            self.loss = objective.loss

        def forward(self, step: int):
            return self.loss(step, 1.0).total

    plan = shared(planned(words), ranks)
    data, results = outlined(plan.parts["dataset"]), {}
    *before, last = plan.stages[: [each.name for each in plan.stages].index(stage) + 1]
    for each in before:
        objective = built(Inputs(each, BlankData(data, each.training.batch), results))
        results[each.name] = next(iter(objective.parts.values())).module
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, record_shapes=True) as profiler:
        model = Whole(built(Inputs(last, BlankData(data, last.training.batch), results)))
        if way == "ddp":
            model = joining(model, 1 / ranks)
        if way == "fsdp2":
            for block in [module for module in model.modules() if isinstance(module, Block)]:
                fully_shard(block)
            fully_shard(model)
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        for step in range(STEPS):
            loss = model(step)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    events = profiler.profiler.kineto_results.events()
    held = peak = 0
    for _, change in sorted((each.start_ns(), each.nbytes()) for each in events if each.name() == "[memory]"):
        held += change
        peak = max(peak, held)
    return {"peak": peak, "sent": sent(events, ranks, way)}


def sent(events, ranks: int, way: str) -> float:
    """Bytes that a rank sends around a ring in a step: weights and gradients are float32."""

    def numbers(name: str, place: int) -> int:
        return sum(each.shapes()[place][0] for each in events if each.name() == name)

    if way == "ddp":  # which calls gloo from C++, a bucket at a time
        total = 2 * (ranks - 1) / ranks * numbers("gloo:all_reduce", 0)
    else:
        gathers, scatters = numbers("c10d::_allgather_base_", 1), numbers("c10d::_reduce_scatter_base_", 0)
        total = (ranks - 1) * (gathers + scatters)
    return 4 * total / STEPS


def worker(rank: int, ranks: int, meeting: str, names: list[str]) -> None:
    """One rank: measures each case, and prints the results as JSON."""
    import torch
    import torch.distributed as dist

    timer = threading.Timer(LIMIT, os._exit, [9])  # a rank that waits for one that died
    timer.daemon = True
    timer.start()
    torch.set_num_threads(1)
    results = {}
    for name in names:
        results[name] = {"alone": measured(*CASES[name], 1, "alone")} if rank == 0 else {}
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    for name in names:
        for way in ("ddp", "fsdp2"):
            several = [measured(*CASES[name], ranks, way) for _ in range(TIMES)]
            results[name][way] = min(several, key=lambda each: each["peak"])
    print(json.dumps(results), flush=True)
    os._exit(0)  # gloo's threads now and then abort where Python ends


def run(ranks: int, names: list[str]) -> dict:
    """The measurements of rank 0.

    Raises: RuntimeError if a rank fails or does not end in time.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, __file__, "--ranks", str(ranks), "--meeting", f"{folder}/meeting"]
        words += [word for name in names for word in ("--case", name)]
        env = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes = [subprocess.Popen([*words, "--rank", str(rank)], env=env, **pipe) for rank in range(ranks)]
        try:
            outputs = [process.communicate(timeout=LIMIT + 30) for process in processes]
        finally:
            for process in processes:
                process.kill()
    for rank, (process, (_, errors)) in enumerate(zip(processes, outputs, strict=True)):
        if process.returncode:
            raise RuntimeError(f"rank {rank} ended with status {process.returncode}: {errors[-1000:]}")
    return json.loads(outputs[0][0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this one; may be repeated")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--meeting", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.case or list(CASES)
    if options.rank is not None:
        worker(options.rank, options.ranks, options.meeting, names)
    results = run(options.ranks, names)
    rows = []
    for name in names:
        stage, words = CASES[name]
        expected = predicted(stage, words, options.ranks) | {"alone": predicted(stage, words, 1)["alone"]}
        for way, numbers in results[name].items():
            peak, volume = expected[way]
            rows.append({"case": name, "way": way, "predicted": peak, **numbers, "predicted_sent": volume})
    print(f"{options.ranks} ranks, MB{'':31}{'predicted':>10}{'peak':>8}{'ratio':>7}{'sent':>8}{'ratio':>7}")
    for row in rows:
        ratio = row["peak"] / row["predicted"]
        volume = f"{row['sent'] / row['predicted_sent']:7.3f}" if row["predicted_sent"] else f"{'':7}"
        print(
            f"{row['case']:34}{row['way']:8}{row['predicted'] / 1e6:10.1f}{row['peak'] / 1e6:8.1f}{ratio:7.2f}"
            f"{row['sent'] / 1e6:8.1f}{volume}"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
