"""The laws of executors hold for work in this process, and for processes of the executor `local`."""

from __future__ import annotations

import pytest

from crt_laws import Broken, attempt, obeys
from crt_laws.laws.executor import BENCH, closing_the_iterator_stops_the_work
from crt_laws.laws.executor_offenders import GoesOn
from crt_laws.toys import InTurn
from crt_run.executors.spec import Local

test_work_in_this_process = obeys(InTurn())


@pytest.mark.slow
@pytest.mark.parametrize("law", [law.name for law in BENCH.laws])
def test_worker_processes_obey(law: str) -> None:
    assert attempt(Local(workers=2), law).checks > 0


def test_work_that_begins_after_the_stop_is_noticed() -> None:
    with pytest.raises(Broken, match="piece 1 began 1 times, and 0 times it was stopped and could save"):
        closing_the_iterator_stops_the_work.attempt(GoesOn(InTurn()))
