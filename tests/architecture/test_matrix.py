"""The matrix of backends: no cell is left unexplained, and only a failure is one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))
import matrix
from matrix import Cell, Outcome, cells, outcome

ROOT = matrix.ROOT
STARTED = "============ test session starts ============\nversions: torch 2.10.0, numpy 1.26.0\n"
PASSED = f"""\
{STARTED}
SKIPPED [2] tests/backends/test_xformers.py:139: its kernels need a GPU
=========== 20 passed, 1 skipped, 4 deselected in 70.39s (0:01:10) ===========
{STARTED}
======================= 61 passed in 4.10s =======================
"""
FAILED = f"""\
{STARTED}
FAILED tests/backends/test_trees.py::test_attention_is_a_plain_sum_on_trees[flex] - assert 90 <= 16
=========== 1 failed, 3 passed in 70.39s ===========
"""
NO_WHEEL = """\
  × No solution found when resolving dependencies:
  ╰─▶ Because torch==2.10.0 has no wheels with a matching Python ABI tag (e.g., `cp315`), we can conclude
"""
CONFLICT = """\
  × No solution found when resolving dependencies:
  ╰─▶ Because crt-nn depends on numpy>=9 and only numpy<3 is available, your requirements are unsatisfiable.
py311-sdpa-torch-lowest: exit 1 (0.91 seconds)
"""
NO_PYTHON = "py313-sdpa-torch-lowest: skipped because could not find python interpreter with spec(s): py313\n"
ANY = cells()[0]


def test_there_is_a_cell_for_each_combination_and_an_environment_for_each_cell() -> None:
    (factors,) = re.findall(r"^\[testenv:(py\{.*)\]$", (ROOT / "tox.ini").read_text(encoding="utf-8"), re.MULTILINE)
    groups = [set(each.split(",")) for each in re.findall(r"\{(.*?)\}", factors)]

    assert groups == [set(each) for each in (matrix.PYTHONS, matrix.ATTENTION, matrix.VERIFICATION, matrix.VERSIONS)]
    assert len({each.environment for each in cells()}) == 36


def test_tests_of_all_commands_of_a_cell_are_counted_and_what_did_not_run_is_named() -> None:
    assert outcome(0, PASSED) == Outcome("passed", 81, ("its kernels need a GPU",), "torch 2.10.0, numpy 1.26.0")


def test_a_failed_test_is_a_failure_with_its_name() -> None:
    failure = outcome(1, FAILED)

    assert failure.word == "failed"
    assert failure.reasons[0].startswith("tests/backends/test_trees.py::test_attention_is_a_plain_sum_on_trees[flex]")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (NO_WHEEL, "torch==2.10.0 has no wheel for this Python and system"),
        (NO_PYTHON, "this Python is not installed"),
        ("error: write failed: No space left on device (os error 28)", "the disk is full"),
        ("error: Failed to download `torch==2.10.0`\n", "torch==2.10.0 cannot be fetched"),
    ],
)
def test_what_a_machine_cannot_install_is_not_run_and_the_reason_is_given(text: str, reason: str) -> None:
    assert outcome(1, text) == Outcome("not run", reasons=(reason,))


def test_requirements_that_contradict_each_other_are_a_failure() -> None:
    failure = outcome(1, CONFLICT)

    assert failure.word == "failed"
    assert "numpy>=9" in failure.reasons[0]


@pytest.mark.parametrize(("status", "text"), [(0, STARTED), (0, ""), (1, "")])
def test_a_cell_in_which_no_test_passed_is_a_failure(status: int, text: str) -> None:
    assert outcome(status, text).word == "failed"


def test_a_machine_without_a_compiler_does_not_run_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix.shutil, "which", lambda name: None)
    kinds = {cell[1:3] for cell in cells() if matrix.obstacle(cell) is None}

    assert kinds == {("sdpa", "torch"), ("xformers", "torch")}


def test_every_cell_of_the_table_has_a_word_and_every_reason_a_line() -> None:
    outcomes = {cell: Outcome("passed", 7) for cell in cells()}
    outcomes[ANY] = Outcome("not run", reasons=("the disk is full",))
    outcomes[Cell("313", "flex", "kernels", "pinned")] = Outcome("failed", 3, ("test_one", "the disk is full"))

    text = matrix.table(outcomes)

    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| 3.")]
    assert [len(row) for row in rows] == [8] * 6
    assert rows[0][2] == "not run (1)"
    assert rows[-1][-1] == "failed (2, 1) |"
    assert text.endswith("1. the disk is full\n2. test_one")


def test_the_kept_table_has_every_cell_and_no_failure() -> None:
    text = (ROOT / "docs" / "matrix.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| 3.")]

    assert len(rows) == 6
    assert all(re.fullmatch(r"(passed \d+|not run)( \([\d, ]+\))?", each) for row in rows for each in row[2:])
    assert all(" (" in each for row in rows for each in row[2:] if each.startswith("not run"))
    assert {len(row) for row in rows} == {8}
