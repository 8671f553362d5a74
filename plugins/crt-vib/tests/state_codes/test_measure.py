"""Means over windows, costs without a code, what the first nat saves, and what figures draw, by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from crt_vib.rate_distortion.probe import Probe
from crt_vib.rate_distortion.states import Examples
from crt_vib.state_codes.experiment import StateCodesExperiment
from crt_vib.state_codes.measure import Own, by_unequal_window, by_window, first_nat, measured, no_code_nats
from crt_vib.state_codes.spec import StateCodes
from crtcore.kinds import Measurement, Row


def rows(points: Sequence[tuple[float, float]]) -> list[Row]:
    """Points of a curve, by rate and distortion."""
    return [
        Row(
            {"weight": index},
            {"rate_nats": Measurement(rate, "nats", 4), "distortion_nats": Measurement(cost, "nats", 4)},
        )
        for index, (rate, cost) in enumerate(points)
    ]


def test_windows_with_more_contexts_do_not_count_as_more_windows() -> None:
    """The mean of 1, 3, 5, 3 is 3. Windows are off it by -2, 2 and 0 in all, so they count as 1.5, 4.5 and 3.

    Their standard deviation is 1.5, and t of two degrees of freedom 4.302653: half an interval is 3.726207.
    """
    number = by_unequal_window(torch.tensor([1.0, 3.0, 5.0, 3.0]).double(), torch.tensor([4, 4, 5, 9]))

    assert (number.value, number.n) == (pytest.approx(3), 3)
    assert number.high == pytest.approx(6.726207, abs=1e-5)


def test_windows_with_equal_numbers_of_contexts_are_averaged_one_by_one() -> None:
    values = torch.tensor([1.0, 2.0, 3.0, 6.0]).double()

    number, expected = by_unequal_window(values, torch.tensor([0, 0, 1, 1])), by_window(values, 2)

    assert number.n == expected.n
    assert number[3:] == pytest.approx(expected[3:])


class Fixed(Probe):
    """A probe whose states are rate and distortion, and whose logits cost the distortion for class 0."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def forward(self, states: torch.Tensor, answers: torch.Tensor, *, noise: object = None) -> Any:
        """No code is drawn."""
        rate, distortion = states.unbind(1)
        logits = torch.stack((-distortion, torch.log1p(-torch.exp(-distortion))), 1)
        return SimpleNamespace(rate=rate, distortion=distortion, reconstruction=logits)


def test_a_probe_that_moves_along_the_best_codes_has_a_gap_without_an_interval() -> None:
    """Two windows on the line through the best codes, (0, 3) and (2, 1): 0.5 above it at rates of 0.5 and 1.5."""
    states = torch.tensor([[0.5, 3.0], [1.5, 2.0]])
    own = Own(torch.arange(2), torch.tensor([[1.0, 0.0]] * 2), [(0.0, 3.0), (2.0, 1.0)])

    gap = measured(Fixed(), Examples(states, torch.zeros(2, dtype=torch.int64)), 2, 1, 0, own)["own_gap_nats"]

    assert (gap.value, gap.low, gap.high) == pytest.approx((0.5, 0.5, 0.5))


def test_without_a_code_answers_cost_by_smoothed_shares_of_training_answers() -> None:
    """Three classes that are there 2, 1 and 0 times count 2.5, 1.5 and 0.5 of 4.5."""
    nats = no_code_nats(torch.tensor([0, 2]), torch.tensor([0, 1, 0]), 3)

    assert nats.tolist() == pytest.approx([math.log(4.5 / 2.5), math.log(9)])


@pytest.mark.parametrize(
    ("points", "saved"),
    [
        ([(1.5, 1.0), (0.5, 2.0)], 1.5),  # 1.5 at one nat, half way between the points
        ([(2.0, 1.0)], 1.0),  # 2 at one nat, half way from 3 without a code
        ([(0.9, 1.0)], None),
    ],
)
def test_the_first_nat_saves_from_the_cost_without_a_code(
    points: list[tuple[float, float]], saved: float | None
) -> None:
    assert first_nat(rows(points), 3.0) == (None if saved is None else pytest.approx(saved))


def test_the_study_takes_the_cost_of_held_out_answers_and_not_their_entropy() -> None:
    study = StateCodesExperiment(StateCodes(weights=(0.1, 0.2), layers=(1,), layer=1))
    numbers = {"label_entropy_nats": Measurement(2.5, "nats", 4), "no_code_nats": Measurement(3.0, "nats", 4)}

    findings = study._findings(numbers, rows([(0.5, 2.0), (1.5, 1.0)]))

    assert findings.numbers["first_nat_nats"].value == pytest.approx(1.5)


def test_what_is_measured_over_contexts_is_drawn_over_their_own_rate() -> None:
    drawn = {figure.across: (figure.numbers, figure.references) for figure in StateCodes.figures}

    assert drawn == {
        "rate_nats": (("distortion_nats",), ("floor_nats",)),
        "own_rate_nats": (("own_distortion_nats",), ("own_bound_nats",)),
    }
