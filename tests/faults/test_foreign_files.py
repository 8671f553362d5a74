"""Damaged files of other programs: one documented error that names the file, or what the file holds; nothing else.

`python tests/faults/fuzz.py MINUTES` goes on with other damages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .foreign.targets import TARGETS
from .foreign.trial import template, trial


def test_undamaged_files_are_read_as_a_second_reader_does(tmp_path: Path) -> None:
    for target in TARGETS:
        folder, reading = template(target, tmp_path)
        if target.again is not None:
            assert target.again(folder) == reading, target.name


def test_a_damaged_file_is_refused_or_read_as_it_is(faults: Any, tmp_path: Path) -> None:
    for case in faults.cases(reduced=80, full=2000):
        faults.record(case, *trial(case.random, tmp_path))
    assert not faults.wrong, "\n".join(faults.wrong)
