"""Local processes: what they do, what they tell, and how they end."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crt_run.executors import local
from crt_run.executors.local import LocalProcesses
from crt_run.executors.spec import Local
from crtcore.kinds import Done, Json, Work

HERE = Path(__file__).parent
PATIENCE = 60.0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Work that does what its piece says."""
    monkeypatch.syspath_prepend(HERE)  # workers look where their parent looks
    module: Any = importlib.import_module("pieces")
    made: Work = module.work
    return made


def until(true: Callable[[], object]) -> bool:
    """Waits for something; False if it did not come."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return False


def alive(pid: int) -> bool:
    """True if a process runs; one that has ended and was not yet fetched does not."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def begun(folder: Path) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in folder.glob("began-*")]


def test_all_pieces_are_done_and_reported_in_any_order(work: Work) -> None:
    events: list[tuple[int, Json]] = []

    done = list(
        LocalProcesses(Local(workers=2, threads=2)).run(
            work, [{"number": number} for number in range(5)], lambda place, event: events.append((place, event))
        )
    )

    assert sorted(done) == [Done(place, {"double": 2 * place}, None) for place in range(5)]
    assert sorted(place for place, _ in events) == list(range(5))
    assert len({event["pid"] for _, event in events}) <= 2
    assert {event["threads"] for _, event in events} == {2}
    assert not any(alive(event["pid"]) for _, event in events)


def test_no_pieces_are_no_work(work: Work) -> None:
    assert list(LocalProcesses(Local(workers=2)).run(work, [], lambda place, event: None)) == []


@pytest.mark.slow
def test_what_raises_or_dies_takes_nothing_else_along(work: Work) -> None:
    pieces: list[Json] = [{"number": 0}, {"raise": "this"}, {"die": True}, {"number": 3}, {"die": True}, {"number": 5}]

    done = {ended.place: ended for ended in LocalProcesses(Local(workers=2)).run(work, pieces, lambda *_: None)}

    assert {place: done[place].answer for place in (0, 3, 5)} == {0: {"double": 0}, 3: {"double": 6}, 5: {"double": 10}}
    assert done[1] == Done(1, None, "KeyError: 'this'")
    for place in (2, 4):
        assert done[place].answer is None
        assert "a worker process died" in str(done[place].problem)
        assert "give the same command again" in str(done[place].problem)


def test_a_worker_guards_calls_of_plugins_code(work: Work) -> None:
    (done,) = LocalProcesses(Local(workers=1)).run(work, [{"number": 1, "late": True}], lambda place, event: None)

    assert done == Done(0, None, "Failed: no answer within 20 s")


def test_closing_asks_the_workers_to_stop_and_waits_until_they_have_saved(work: Work, tmp_path: Path) -> None:
    waiting = {"wait": str(tmp_path), "save": 0.3}
    working: Any = LocalProcesses(Local(workers=2)).run(
        work, [{"number": 1}, waiting, waiting, waiting], lambda *_: None
    )
    first = next(working)
    assert until(lambda: begun(tmp_path))  # the other worker has no piece until it is asked for what comes next
    pids = begun(tmp_path)

    working.close()

    assert first == Done(0, {"double": 2}, None)
    assert sorted(path.name for path in tmp_path.glob("saved-*")) == sorted(f"saved-{pid}" for pid in pids)
    assert not any(alive(pid) for pid in pids)


def test_closing_before_a_worker_has_begun_waits_for_no_work(work: Work, tmp_path: Path) -> None:
    pieces = [{"wait": str(tmp_path), "save": 0}] * 2

    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    started = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(Interrupted):
            list(LocalProcesses(Local(workers=2)).run(work, pieces, lambda *_: None))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert time.monotonic() - started < PATIENCE / 2


SCRIPT = """\
import sys
sys.path.insert(0, sys.argv[1])
from crt_run.executors.local import LocalProcesses
from crt_run.executors.spec import Local
from pieces import work
if __name__ == "__main__":
    pieces = [{"wait": sys.argv[2], "save": float(sys.argv[3])}] * 2
    list(LocalProcesses(Local(workers=2)).run(work, pieces, lambda *_: None))
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Callable[[float], "subprocess.Popen[bytes]"]]:
    """Starts a process that has two workers wait for SIGTERM, then save for some seconds."""
    (tmp_path / "script.py").write_text(SCRIPT)
    started: list[subprocess.Popen[bytes]] = []

    def start(save: float) -> subprocess.Popen[bytes]:
        words = [sys.executable, str(tmp_path / "script.py"), str(HERE), str(tmp_path), str(save)]
        started.append(subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True))
        assert until(lambda: len(begun(tmp_path)) == 2)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_worker_whose_parent_has_ended_ends_in_silence(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(local, "_follow", lambda: None)
    taken, orders = multiprocessing.Pipe(duplex=False)
    news, sent = multiprocessing.Pipe(duplex=False)
    orders.send((work, {"number": 1}))
    news.close()  # the parent is gone before the answer

    local._serve(taken, sent, 1)

    signal.signal(signal.SIGTERM, before)
    assert not taken.poll()  # it took the piece


def test_workers_die_with_their_parent(parent: Any, tmp_path: Path) -> None:
    process = parent(0)

    process.kill()

    assert until(lambda: not any(alive(pid) for pid in begun(tmp_path)))


def test_a_ctrl_c_to_the_whole_group_is_the_parent_s_and_the_workers_save(parent: Any, tmp_path: Path) -> None:
    process = parent(0.2)

    os.killpg(process.pid, signal.SIGINT)
    process.wait(PATIENCE)

    assert len(list(tmp_path.glob("saved-*"))) == 2
    assert not any(alive(pid) for pid in begun(tmp_path))


def test_a_second_ctrl_c_ends_the_workers_at_once(parent: Any, tmp_path: Path) -> None:
    process = parent(10 * PATIENCE)

    process.send_signal(signal.SIGINT)
    time.sleep(0.5)  # so that the two do not become one
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE)

    assert list(tmp_path.glob("saved-*")) == []
    assert until(lambda: not any(alive(pid) for pid in begun(tmp_path)))
