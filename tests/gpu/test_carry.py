"""The scripts `carry` and `rehearse`, which have no suffix."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import results

BENCHES = results.ROOT / "bench/gpu"


def script(name: str) -> ModuleType:
    loader = SourceFileLoader(name, str(BENCHES / name))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


carry, rehearse = script("carry"), script("rehearse")


def test_every_wheel_of_the_list_has_one_version() -> None:
    wanted = carry.listed((BENCHES / "carried.txt").read_text())

    assert all(len(requirement.split("==")) == 2 for requirement in wanted)
    assert len({requirement.split("==")[0] for requirement in wanted}) == len(wanted) > 0


def test_no_carried_package_is_installed_on_the_gpu_machine() -> None:
    there = {line.partition("==")[0] for line in carry.listed((BENCHES / "machine.txt").read_text())}

    assert not there & {line.partition("==")[0] for line in carry.listed((BENCHES / "carried.txt").read_text())}


def test_wheels_that_are_not_listed_are_removed_and_the_limit_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list").write_text("# why\nsome-thing==1.0\n")
    monkeypatch.setattr(carry, "LIST", tmp_path / "list")
    monkeypatch.setattr(carry, "size_of_tree", lambda: 2**20)
    for name in ("some_thing-1.0-py3-none-any.whl", "some_thing-0.9-py3-none-any.whl", "other-1.0-py3-none-any.whl"):
        (tmp_path / name).write_bytes(bytes(2**20))
    monkeypatch.setattr("sys.argv", ["carry", "--to", str(tmp_path), "--most", "1.5"])

    with pytest.raises(SystemExit) as ended:
        carry.main()

    assert [path.name for path in tmp_path.glob("*.whl")] == ["some_thing-1.0-py3-none-any.whl"]
    assert ended.value.code == 1
    assert "1.00 MiB of wheels, 1.00 of the checkout; the limit is 1.5 together" in capsys.readouterr().out


def test_no_wheel_is_in_the_repository() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=results.ROOT, check=True, capture_output=True, text=True).stdout

    assert ".whl" not in files


def test_without_a_namespace_processes_of_the_day_cannot_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearse, "NAMESPACES", ())

    block, environment, how = rehearse.blocked(tmp_path)

    assert block == ()
    assert how.startswith(
        "blocked by sockets that cannot connect; no namespace is allowed here; a connection fails with: "
    )
    assert "expected no use of the network in a rehearsal" in how
    pair = "import socket; one, other = socket.socketpair(); one.send(b'x'); assert other.recv(1) == b'x'"
    subprocess.run([sys.executable, "-c", pair], env=environment, check=True)


@pytest.fixture
def day(tmp_path: Path) -> tuple[Path, Path]:
    """A checkout and a folder to carry home, as a successful day leaves them."""
    copy, out = tmp_path / "checkout", tmp_path / "out"
    for path in (copy / "bench/results", out):
        path.mkdir(parents=True)
    kept = {
        "gpu-day.json": {"parts": {"facts": {"status": "ran"}}},
        "gpu-facts.json": {"results": {"imports": {"cattrs": "fine"}}},
    }
    for name, values in kept.items():
        (copy / "bench/results" / name).write_text(json.dumps(values))
    (out / "gpu-results.json").write_text(json.dumps(kept))
    (out / "gpu-day.log").write_text("")
    return copy, out


def test_a_day_that_went_well_has_no_problems(day: tuple[Path, Path]) -> None:
    assert rehearse.problems(*day, 0) == []


def spoil(day: tuple[Path, Path], name: str, values: dict[str, Any]) -> None:
    """Other contents of a result, here and in what is carried home."""
    copy, out = day
    (copy / "bench/results" / name).write_text(json.dumps(values))
    carried = json.loads((out / "gpu-results.json").read_text())
    (out / "gpu-results.json").write_text(json.dumps({**carried, name: values}))


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        (
            "gpu-day.json",
            {"parts": {"facts": {"status": "ran"}, "speed": {"status": "not run: 3 s are left"}}},
            ["speed: not run: 3 s are left", "speed: no result is kept"],
        ),
        (
            "gpu-facts.json",
            {"results": {"imports": {"cattrs": "not installed"}}},
            ["cattrs, which is carried: not installed"],
        ),
    ],
)
def test_a_missing_result_is_a_problem(
    name: str, values: dict[str, Any], expected: list[str], day: tuple[Path, Path]
) -> None:
    spoil(day, name, values)

    assert rehearse.problems(*day, 0) == expected


def test_a_result_that_is_not_carried_home_is_a_problem(day: tuple[Path, Path]) -> None:
    (day[1] / "gpu-results.json").write_text("{}")
    (day[1] / "more.json").write_text("{}")

    problems = rehearse.problems(*day, 1)

    assert problems == [
        "the day ended with status 1",
        "day: what comes home is not what is kept",
        "facts: what comes home is not what is kept",
        "other files come home: ['gpu-day.log', 'gpu-results.json', 'more.json']",
    ]
