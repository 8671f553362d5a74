"""The GPU day: parts that fail or take too long do not affect the others, and no result is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import day
import pytest
import results
from parts import PARTS, Part

BENCHES = Path(results.__file__).parent
KEEPS = "import results; results.write({name!r}, {{'rows': [1]}}); print('kept'); {then}"


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of scripts, in place of `bench/gpu`, which can import the modules there."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    monkeypatch.setattr(day, "HERE", folder)
    return folder


def part(scripts: Path, name: str, code: str, *, least: int = 1, most: float = 30) -> Part:
    (scripts / f"{name}.py").write_text(f"import sys; sys.path.append({str(BENCHES)!r})\n{code}")
    return Part(name, "a script", "a CPU", (f"{name}.py",), (), least, most)  # type: ignore[arg-type]


def run(parts: list[Part], tmp_path: Path, seconds: float = 60, **environment: str) -> dict[str, day.Ended]:
    return {each.name: each for each in day.day(parts, time.monotonic() + seconds, environment, tmp_path)}


def result(kept: Path, name: str = "day") -> dict[str, Any]:
    values: dict[str, Any] = json.loads((kept / f"gpu-{name}.json").read_text())
    return values


def test_a_part_that_crashes_does_not_affect_the_others(
    scripts: Path, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [
        part(scripts, "breaks", KEEPS.format(name="breaks", then="raise ValueError('no such thing')")),
        part(scripts, "goes", KEEPS.format(name="goes", then="print('all of it')")),
    ]

    ended = run(parts, tmp_path)

    assert [each.status for each in ended.values()] == ["failed: status 1", "ran"]
    assert [result(kept, name)["rows"] for name in ("breaks", "goes")] == [[1], [1]]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" in ")[0] for line in lines] == ["breaks (a script): failed: status 1", "goes (a script): ran"]
    assert lines[0].endswith("ValueError: no such thing")
    assert lines[1].endswith("all of it")


HANGS = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(100)"
child = subprocess.Popen([sys.executable, "-c", deaf])
pathlib.Path({file!r}).write_text(str(child.pid))
import results; results.write("hangs", {{"rows": [1]}})
time.sleep(100)
"""


def gone(process: int) -> bool:
    """Whether a process has ended, possibly as a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_part_that_hangs_is_killed_with_its_children_and_the_others_run(
    scripts: Path, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day, "GRACE", 0.2)
    child = tmp_path / "child"
    parts = [part(scripts, "hangs", HANGS.format(file=str(child)), most=2), part(scripts, "goes", "")]

    ended = run(parts, tmp_path)

    assert [each.status for each in ended.values()] == ["stopped at its limit of 2 s", "ran"]
    assert result(kept, "hangs")["rows"] == [1]
    deadline = time.monotonic() + 5
    while not gone(int(child.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gone(int(child.read_text()))


def test_processes_that_a_part_leaves_are_killed(scripts: Path, kept: Path, tmp_path: Path) -> None:
    child = tmp_path / "child"
    code = (
        "import pathlib, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'])\n"
        f"pathlib.Path({str(child)!r}).write_text(str(child.pid))\n"
    )

    run([part(scripts, "leaves", code)], tmp_path)

    time.sleep(0.2)
    assert gone(int(child.read_text()))


def test_parts_that_no_longer_fit_are_reported(
    scripts: Path, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [
        part(scripts, "long", "import time; time.sleep(100)", least=0, most=1),
        part(scripts, "large", "", least=50),
        part(scripts, "little", "", least=1),
    ]

    ended = run(parts, tmp_path, seconds=20)

    assert [each.status.split(":")[0] for each in ended.values()] == ["stopped at its limit of 1 s", "not run", "ran"]
    assert ended["large"].status.endswith("s are left, and it needs 50")
    assert "large (a script): not run: " in capsys.readouterr().out
    assert result(kept)["parts"]["large"]["status"] == ended["large"].status


def test_a_part_gets_no_more_than_what_is_left(scripts: Path, kept: Path, tmp_path: Path) -> None:
    began = time.monotonic()

    ended = run([part(scripts, "long", "import time; time.sleep(100)")], tmp_path, seconds=2)

    assert ended["long"].status == "stopped at its limit of 2 s"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_day_loses_no_result(number: signal.Signals, scripts: Path, kept: Path, tmp_path: Path) -> None:
    out, mark = tmp_path / "out", tmp_path / "mark"
    part(scripts, "first", KEEPS.format(name="first", then=""))
    then = f"import os, pathlib, time; pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(100)"
    part(scripts, "second", KEEPS.format(name="second", then=then))
    code = (
        "import day, pathlib, sys\n"
        f"day.HERE = pathlib.Path({str(scripts)!r})\n"
        "made = [day.Part(name, 'a script', 'a CPU', (f'{name}.py',), (), 1, 60) for name in ('first', 'second')]\n"
        "day.PARTS = tuple(made)\n"
        "day.signal.signal(day.signal.SIGTERM, lambda *_: sys.exit('stopped'))\n"
        f"sys.argv = ['day.py', '--out', {str(out)!r}, '--wheels', {str(tmp_path)!r}]\n"
        "day.main()\n"
    )
    environment = os.environ | {"PYTHONPATH": str(BENCHES)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    deadline = time.monotonic() + 30
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    process.send_signal(number)
    process.wait(20)

    carried = json.loads((out / results.ALL).read_text())
    assert {name: carried[name]["rows"] for name in ("gpu-first.json", "gpu-second.json")} == {
        "gpu-first.json": [1], "gpu-second.json": [1],
    }  # fmt: skip
    assert carried["gpu-day.json"]["parts"]["first"]["status"] == "ran"
    if number == signal.SIGKILL:  # which no one can answer to
        os.kill(int(mark.read_text()), signal.SIGKILL)
    deadline = time.monotonic() + 5
    while not gone(int(mark.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gone(int(mark.read_text()))


def test_a_part_that_needs_a_gpu_and_has_none_did_not_run(scripts: Path, kept: Path, tmp_path: Path) -> None:
    ended = run([part(scripts, "needs", "print('not run: no GPU')")], tmp_path)

    assert str(ended["needs"]) == "needs (a script): not run: no GPU"
    assert result(kept)["parts"]["needs"]["status"] == "not run: no GPU"


def test_few_files_come_home_and_are_unpacked(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    monkeypatch.setenv(results.OUT, str(out))
    for name in ("one", "two"):
        results.write(name, {"name": name})
    carried = out / results.ALL
    monkeypatch.setenv(results.FOLDER, str(tmp_path / "home"))

    paths = results.unpacked(carried)

    assert [path.name for path in out.iterdir()] == [results.ALL]
    assert [json.loads(path.read_text())["name"] for path in paths] == ["one", "two"]


def test_plugins_are_discovered_without_an_installation(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()

    names = [day.declare(project, site) for project in day.projects()]

    installed = {each.metadata["Name"]: each for each in distributions(path=[str(site)])}
    assert set(installed) == set(names) >= {"crtcore", "crt-vq", "crt-ar", "crt-verify"}
    assert [(entry.group, entry.value) for entry in installed["crt-vq"].entry_points] == [("crtcore", "crt_vq.plugin")]


def test_wheels_that_do_not_fit_are_reported(tmp_path: Path) -> None:
    wheels, scratch = tmp_path / "wheels", tmp_path / "scratch"
    wheels.mkdir()
    scratch.mkdir()
    (wheels / "nothing-1.0-cp27-none-win32.whl").write_bytes(b"")

    said = day.prepare(scratch, wheels)

    assert "the 1 wheels in" in said
    assert "could not be installed: ERROR: nothing-1.0-cp27-none-win32.whl is not a supported wheel" in said


def test_a_rehearsal_shrinks_every_part_that_has_a_size() -> None:
    sizes = {part.name for part in PARTS if part.small}

    assert sizes == {part.name for part in PARTS} - {"sanitizer"}  # whose emulation is one of the tests


def test_the_command_rehearses_a_part_from_plain_sources(kept: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHES / "day.py"), "--rehearse", "--only", "facts", "--wheels", str(tmp_path)]

    ended = subprocess.run([*command, "--out", str(tmp_path / "out")], check=False, capture_output=True, text=True)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    sources, line = ended.stdout.splitlines()
    assert sources.startswith("sources of crtcore, crt-ar, ")
    assert line.startswith("facts (the device, its versions and rates; on a CPU): ran in ")
    assert result(kept, "facts")["rehearsed"]
    assert (result(kept)["rehearsed"], result(kept)["parts"]["facts"]["status"]) == (True, "ran")
