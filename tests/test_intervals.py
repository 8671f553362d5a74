"""Means and the intervals around them."""

from __future__ import annotations

import pytest
import torch

from crtcore.intervals import averaged


def test_a_mean_over_samples_has_the_interval_of_student() -> None:
    found = averaged(torch.tensor([1.0, 2.0, 3.0]).double(), "nats")

    assert (found.value, found.unit, found.samples) == (2, "nats", 3)
    assert found.high == pytest.approx(2 + 4.302653 / 3**0.5)  # the 97.5 % point for two degrees of freedom
    assert found.low == pytest.approx(2 - 4.302653 / 3**0.5)


def test_one_sample_has_no_interval() -> None:
    found = averaged(torch.tensor([2.0]), "nats")

    assert (found.value, found.low, found.high) == (2, None, None)
