"""Budgets of trainings."""

from __future__ import annotations

import torch
from torch import nn

from crt_latent.reasoning.budget import TIMED, budget, step_seconds
from crt_run.training.losses import Loss
from crtcore.settings import Training


def test_steps_are_timed_all_over_a_training_and_leave_no_gradients() -> None:
    module, met = nn.Linear(2, 1), []

    def objective(step: int, progress: float) -> Loss:
        met.append((step, progress))
        return Loss(module(torch.ones(1, 2)).sum(), {})

    seconds = step_seconds(Training(steps=600), objective, [module])

    assert met == [(100 * place, place / 6) for place in range(TIMED + 1)]
    assert seconds > 0
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_budget_is_all_steps_of_all_examples() -> None:
    spent = budget(Training(steps=10, batch=4), tokens=50.5, seconds=0.25)

    assert spent == (40, 2020, 2.5)
    assert spent.plus(spent).measurements("both")["both_seconds"].value == 5


def test_a_training_of_one_step_is_timed_on_that_step() -> None:
    seconds = step_seconds(Training(steps=1), lambda *_: Loss(torch.ones((), requires_grad=True) * 1, {}), [])

    assert seconds > 0
