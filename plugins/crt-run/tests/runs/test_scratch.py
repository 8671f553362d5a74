"""The folder of a rehearsal is deleted once the process that made it has ended, however it ends, and not before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from crt_run.runs.scratch import PREFIX, scratch

MAKER = """
import tempfile, sys
tempfile.tempdir = sys.argv[1]
from crt_run.runs.scratch import scratch
with scratch() as folder:
    (folder / "inside").mkdir()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_folder_is_empty_and_deleted_at_the_end(tmp_path: Path) -> None:
    with scratch() as folder:
        assert list(tmp_path.iterdir()) == [folder]
        assert not list(folder.iterdir())
        (folder / "x").write_text("")

    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_leaves_is_deleted_by_the_next_and_what_a_living_one_uses_is_not(tmp_path: Path) -> None:
    makers = [
        subprocess.Popen([sys.executable, "-c", MAKER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    killed, alive = makers
    lost, used = (Path(os.fsdecode(each.stdout.readline().strip())) for each in makers)  # type: ignore[union-attr]
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert (lost / "inside").is_dir()

    with scratch():
        pass

    assert not lost.exists()
    assert (used / "inside").is_dir()
    alive.communicate(b"")
    assert not list(tmp_path.iterdir())


def test_links_and_files_that_are_called_so_stay(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "x").write_text("")
    (tmp_path / f"{PREFIX}link").symlink_to(kept)
    (tmp_path / f"{PREFIX}file").write_text("")

    with scratch():
        pass

    assert (kept / "x").exists()
    assert (tmp_path / f"{PREFIX}link").is_symlink()
    assert (tmp_path / f"{PREFIX}file").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to another user")
def test_folders_of_other_users_stay(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}theirs").mkdir()
    os.chown(tmp_path / f"{PREFIX}theirs", 1, 1)

    with scratch():
        pass

    assert (tmp_path / f"{PREFIX}theirs").is_dir()
