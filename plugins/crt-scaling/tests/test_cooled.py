"""Cool-downs: where they branch off, and which step sizes they take."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from crt_run.runs.checkpoint import load
from crt_run.runs.run import Stage
from crt_run.training.losses import Loss
from crt_run.training.objective import Objective
from crt_run.training.trainer import Part
from crt_scaling.cooled import cooled
from crt_scaling.spec import branch
from crtcore.kinds import StagePlan
from crtcore.settings import Optimizer, Training


@given(st.integers(2, 10**6))
def test_a_cool_down_is_the_last_fifth(length: int) -> None:
    assert 1 <= branch(length) < length
    assert abs(length - branch(length) - length / 5) <= max(0.5, 1 - length / 5)


@given(st.integers(2, 10**4))
def test_a_longer_training_branches_off_no_earlier(length: int) -> None:
    assert branch(length) <= branch(length + 1)


class Around:
    """A run as far as stages need one: folders and records."""

    def __init__(self, folder: Path) -> None:
        self.plan: Any = None
        self.runs = self.folder = folder
        self.device: Any = None
        self.facts: dict[str, Any] = {}
        self.data = self.few = None
        self.lines: list[Any] = []

    def stage(self, plan: StagePlan, label: str = "") -> Any:
        run: Any = self
        name = f"{plan.name}-{label}"
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        stage = Stage(run, name, self.folder / name)

        class Held:
            def __enter__(self) -> Stage:
                return stage

            def __exit__(self, *_: object) -> None: ...

        return Held()

    def record(self, line: Any) -> None:
        self.lines.append(line)

    def note(self, text: str) -> None: ...

    def stopping(self) -> bool:
        return False

    def note_backends(self, role: str, part: object) -> None: ...

    def keep(self, tensors: Any) -> None: ...


def trained(folder: Path, lengths: tuple[int, ...], steps: int) -> dict[int, list[float]]:
    """Each length to where the one weight was before each step and in the end.

    Without momentum AdamW moves it by the step size, against the gradient's sign.
    """
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    path: dict[int, float] = {}

    def loss(step: int, progress: float) -> Loss:
        path[step] = module.weight.item()
        return Loss(module.weight.sum(), {})

    optimizer = Optimizer(learning_rate=1.0, warmup=2 / steps, decay="constant", beta1=0.0, beta2=0.0)
    plan: Any = None
    run: Any = Around(folder)
    stage = StagePlan("prior", plan, Training(steps=steps, optimizer=optimizer), (), "")
    objective = Objective({"prior": Part(module, optimizer)}, loss, 1)
    result = {}
    for length in cooled(stage, objective, lengths, run):
        result[length] = [path[step] for step in range(length)] + [module.weight.item()]
    return result


def test_the_step_size_rises_stays_and_falls_to_nothing(tmp_path: Path) -> None:
    result = trained(tmp_path, (10, 20), steps=20)

    for length, path in result.items():
        moved = [before - after for before, after in itertools.pairwise(path)]
        last = length // 5
        fall = [(1 + math.cos(math.pi * (step + 1) / last)) / 2 for step in range(last)]
        assert moved == pytest.approx([0.5, *[1.0] * (length - last - 1), *fall], abs=1e-5)


def test_a_length_ends_the_same_whatever_other_lengths_there_are(tmp_path: Path) -> None:
    trained(tmp_path / "alone", (20,), steps=20)
    trained(tmp_path / "among", (5, 10, 20), steps=20)

    one, other = (load(tmp_path / place / "prior-cooled-20" / "final") for place in ("alone", "among"))
    assert one.tensors == other.tensors


def test_a_trunk_keeps_the_state_of_its_optimiser_and_a_cool_down_does_not(tmp_path: Path) -> None:
    trained(tmp_path, (10,), steps=10)

    kept = {name: load(tmp_path / name / "final").tensors.keys() for name in ("prior-to-8", "prior-cooled-10")}
    assert "optimizer.prior.0.exp_avg" in kept["prior-to-8"]
    assert set(kept["prior-cooled-10"]) == {"part.prior.weight"}
