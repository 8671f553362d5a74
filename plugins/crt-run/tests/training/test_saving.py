"""When a training saves: by steps, or by what saving costs."""

from __future__ import annotations

import pytest

from crt_run.ranks.alone import ALONE
from crt_run.training import saving
from crt_run.training.saving import Saving


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the module."""
    made = Clock()
    monkeypatch.setattr(saving, "time", made)
    return made


def test_a_number_of_steps_counts_whatever_the_time(clock: Clock) -> None:
    own = Saving(3, ALONE)

    assert [step for step in range(1, 10) if own.due(step)] == [3, 6, 9]


def test_without_one_saving_takes_a_hundredth_of_the_time(clock: Clock) -> None:
    own = Saving(0, ALONE)

    clock.now = 109.9
    assert not own.due(10)
    clock.now = 110.0
    assert own.due(20)
    assert not own.due(21)  # the clock is looked at after every tenth step
    with own.timed():
        clock.now = 110.5
    clock.now = 160.4  # 0.5 s are a hundredth of 50 s
    assert not own.due(30)
    clock.now = 160.5
    assert own.due(40)
