"""Milliseconds and FLOPs of a stage-1 step of each arm of a study, beside the baseline's, and the steps that they buy.

Usage: python bench/stage_one_arms.py SPEC [--json]

The baseline has the steps that the file gives it; the other arms get as many as take the same FLOPs, or the same time.
Where a step cannot be traced without data, as with text, its FLOPs are counted on a real step.
Rounds go through all arms in turn, so that a slow moment of the machine hits them alike. Times are medians of the
processor time of one thread, which is the time that passes where nothing else runs.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import crtcore
from crt_cost.stages import costs
from crt_cost.trace import flop_counter
from crt_run.training.objective import Inputs, built
from crt_run.training.outline import outline_of
from crtcore.compose.plan import load
from crtcore.kinds import Plan

ROUNDS, STEPS, WARM = 15, 10, 5


def stepper(plan: Plan, dataset: Any) -> Callable[[], None]:
    """One step of stage 1, with its data."""
    stage = plan.stages[0]
    objective = built(Inputs(stage, dataset))
    parameters = [parameter for part in objective.parts.values() for parameter in part.module.parameters()]
    optimizer = torch.optim.AdamW([each for each in parameters if each.requires_grad], fused=True)

    def step() -> None:
        loss = objective.loss(0, 1.0)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        assert torch.isfinite(loss.total)

    return step


def step_flops(plan: Plan, dataset: Any) -> float:
    """FLOPs of a step of stage 1: those of its trace, or where that fails those of a real step after a first one."""
    cost = costs(plan, outline_of(dataset))[0]
    if cost.obstacle is None:
        return cost.flops / cost.steps
    step = stepper(plan, dataset)
    step()  # codebooks that start by k-means do so here
    with flop_counter() as counter:
        step()
    return float(counter.get_total_flops())


def measured(plans: dict[str, Plan], dataset: Any) -> dict[str, float]:
    """Milliseconds of a step of each arm."""
    steppers = {arm: stepper(plan, dataset) for arm, plan in plans.items()}
    times: dict[str, list[float]] = {arm: [] for arm in plans}
    for round_ in range(ROUNDS + 1):
        for arm, step in steppers.items():
            start = time.process_time()
            for _ in range(STEPS if round_ else WARM):
                step()
            if round_:
                times[arm].append((time.process_time() - start) / STEPS * 1e3)
    return {arm: statistics.median(values) for arm, values in times.items()}


def main() -> None:
    torch.set_num_threads(1)
    study = load(Path(sys.argv[1]), crtcore.discover())
    plans: dict[str, Plan] = {}
    for point in study.points:
        plans.setdefault(point.group, point.plan)
    baseline = next(group for group in plans if group.startswith(study.baseline))
    dataset = plans[baseline].parts["dataset"].build()
    times = measured(plans, dataset)
    flops = {arm: step_flops(plan, dataset) for arm, plan in plans.items()}
    steps = plans[baseline].training["tokenizer"].steps
    rows = {
        arm: {
            "ms": round(times[arm], 2),
            "time_ratio": round(times[arm] / times[baseline], 3),
            "flops_ratio": round(flops[arm] / flops[baseline], 3),
            "steps_at_equal_flops": round(steps * flops[baseline] / flops[arm]),
            "steps_at_equal_time": round(steps * times[baseline] / times[arm]),
        }
        for arm in plans
    }
    if "--json" in sys.argv:
        print(json.dumps({"torch": torch.__version__, "threads": 1, "rounds": ROUNDS, "arms": rows}, indent=1))
        return
    print(f"torch {torch.__version__}, 1 thread, medians of {ROUNDS} x {STEPS} steps")
    print(f"{'':18}{'ms':>8}{'time':>8}{'FLOPs':>8}{'steps, equal FLOPs':>20}{'equal time':>12}")
    for arm, row in rows.items():
        print(
            f"{arm:18}{row['ms']:8.1f}{row['time_ratio']:8.2f}{row['flops_ratio']:8.2f}"
            f"{row['steps_at_equal_flops']:20}{row['steps_at_equal_time']:12}"
        )


if __name__ == "__main__":
    main()
