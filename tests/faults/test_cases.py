"""The harness of the other tests: cases repeat, and what went wrong is named."""

from __future__ import annotations

from typing import Any


def test_a_case_has_the_same_random_numbers_alone(faults: Any) -> None:
    drawn = {case.number: case.random.random() for case in faults.cases(reduced=4, full=4)}
    faults.wanted = "2"
    assert [(case.number, case.random.random()) for case in faults.cases(reduced=4, full=4)] == [(2, drawn[2])]


def test_what_went_wrong_is_named_with_the_way_to_repeat_it(faults: Any) -> None:
    made = type(faults)("test_x", "reduced")
    for case, outcome in zip(made.cases(reduced=3, full=3), ["refused", "unharmed", "silent"], strict=True):
        made.record(case, outcome, "the byte at 7")
    (wrong,) = made.wrong
    assert "silent: the byte at 7" in wrong
    assert "CRT_FAULTS=2" in wrong
