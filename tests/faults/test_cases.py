"""The harness of the other tests: cases repeat, and what went wrong is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any


def test_a_case_has_the_same_random_numbers_alone(faults: Any) -> None:
    drawn = {case.number: case.random.random() for case in faults.cases(reduced=4, full=4)}
    faults.wanted = "2"
    assert [(case.number, case.random.random()) for case in faults.cases(reduced=4, full=4)] == [(2, drawn[2])]


def test_a_range_goes_on_with_a_full_count(faults: Any) -> None:
    faults.wanted = "2-5"
    assert [case.number for case in faults.cases(reduced=1, full=5)] == [2, 3, 4]


def test_a_case_that_does_not_end_ends_the_process_with_its_name(tmp_path: Path) -> None:
    text = (
        f"import sys, time\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nimport conftest\nconftest.LIMIT = 0.1\n"
    )
    text += "for case in conftest.Faults('test_x', '7').cases(reduced=1, full=9): time.sleep(60)"

    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=50, check=False)

    assert ended.returncode == 1
    assert "no end within 0.1 s: again: CRT_FAULTS=7 pytest 'test_x'" in ended.stderr


def test_what_went_wrong_is_named_with_the_way_to_repeat_it(faults: Any) -> None:
    made = type(faults)("test_x", "reduced")
    for case, outcome in zip(made.cases(reduced=3, full=3), ["refused", "unharmed", "silent"], strict=True):
        made.record(case, outcome, "the byte at 7")
    (wrong,) = made.wrong
    assert "silent: the byte at 7" in wrong
    assert "CRT_FAULTS=2" in wrong
