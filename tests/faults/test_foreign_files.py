"""Damaged files of other programs: one documented error that names the file, or what the file holds; nothing else.

`python tests/faults/fuzz.py MINUTES` goes on with other damages.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crtcore.errors import RunError, SpecError

from .foreign.damages import fresh
from .foreign.trial import TARGETS, template, trial


def test_undamaged_files_are_read_as_a_second_reader_does(tmp_path: Path) -> None:
    for target in TARGETS:
        folder, reading = template(target, tmp_path)
        if target.again is not None:
            assert target.again(folder) == reading, target.name


def test_a_damaged_file_is_refused_or_read_as_it_is(faults: Any, tmp_path: Path) -> None:
    for case in faults.cases(reduced=80, full=2000):
        faults.record(case, *trial(case.random, tmp_path))
    assert not faults.wrong, "\n".join(faults.wrong)


@contextlib.contextmanager
def looked_at(pipe: Path) -> Iterator[list[str]]:
    """Notes whether something waits for a pipe, and gives it an end, so that it waits no more."""
    waited, done = list[str](), threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            with contextlib.suppress(OSError):  # nobody reads
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
                waited.append(pipe.name)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield waited
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(target: Any, tmp_path: Path) -> None:
    whole, _ = template(target, tmp_path)
    for name in sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file()):
        fresh(whole, tmp_path / "tried")
        (pipe := tmp_path / "tried" / name).unlink()
        os.mkfifo(pipe)

        with looked_at(pipe) as waited, pytest.raises((RunError, SpecError), match=re.escape(str(tmp_path / "tried"))):
            target.read(tmp_path / "tried")

        assert not waited
