"""What holds without Ray: the spec, and what the command prints where the library is missing."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from crt_ray import executor, plugin
from crt_ray.executor import RayTasks
from crt_ray.spec import Ray
from crtcore.errors import RunError
from crtcore.spec import FieldError


@pytest.mark.parametrize("address", ["local", "auto", "10.0.0.7:6379", "head.cluster:6379", "[::1]:6379"])
def test_an_address_is_that_of_a_cluster(address: str) -> None:
    assert Ray(address=address).address == address


@pytest.mark.parametrize("address", ["", "head", "ray://head:10001", "head:port", "auto ", "http://head:8265"])
def test_another_address_is_refused(address: str) -> None:
    with pytest.raises(FieldError, match="address: expected 'local', 'auto' or HOST:PORT, got"):
        Ray(address=address)


def test_a_missing_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(executor, "version", missing)

    with pytest.raises(RunError, match=r"expected the library ray, got none: pip install 'crt-ray\[ray\]'$") as caught:
        Ray().build()

    assert isinstance(caught.value.__cause__, ModuleNotFoundError)  # so `crt laws` calls it not installed


def test_the_component_is_listed_without_the_library() -> None:
    (component,) = plugin.crt_components()

    assert (component.name, component.kind) == ("ray", "executor")
    text = "import sys; sys.modules['ray'] = None; import crt_ray.plugin, crt_ray.executor"
    subprocess.run([sys.executable, "-c", text], check=True)


PROCESS = """\
import json, sys
def tell(**line):
    print(json.dumps(line), flush=True)
sys.stdin.readline()
tell(state="connecting")
"""


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RayTasks:
    """An executor whose process runs what a test writes to `driver.py`."""
    monkeypatch.setattr(executor, "version", lambda name: "0")
    monkeypatch.setattr(executor, "DRIVER", [str(tmp_path / "driver.py")])
    return RayTasks(Ray(address="127.0.0.1:1"))


def test_a_cluster_that_does_not_answer_is_one_error(
    instead: RayTasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "LIMIT", 0.5)
    (tmp_path / "driver.py").write_text(PROCESS + "import time; time.sleep(60)")

    with pytest.raises(RunError, match=r"expected a Ray cluster at '127.0.0.1:1', got no answer in 0.5 s"):
        list(instead.run(len, [{}], lambda place, event: None))  # type: ignore[arg-type]


def test_a_cluster_that_asks_for_a_token_is_one_error(
    instead: RayTasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "LIMIT", 0.5)
    more = "print('Unauthenticated: InvalidAuthToken', file=sys.stderr, flush=True); import time; time.sleep(60)"
    (tmp_path / "driver.py").write_text(PROCESS + more)

    with pytest.raises(RunError, match=r"refuses this command, .* try again with RAY_AUTH_MODE=token"):
        list(instead.run(len, [{}], lambda place, event: None))  # type: ignore[arg-type]


def test_pieces_that_ended_before_a_loss_are_yielded(instead: RayTasks, tmp_path: Path) -> None:
    more = """\
tell(state="ready", note=None)
sys.stdin.readline()
tell(place=1, event={"event": "note"})
tell(place=1, answer={"a": 1}, problem=None)
sys.exit("abort: no head")
"""
    (tmp_path / "driver.py").write_text(PROCESS + more)
    events: list[object] = []
    working = instead.run(len, [{}, {}], lambda place, event: events.append((place, event)))  # type: ignore[arg-type]

    assert next(working) == (1, {"a": 1}, None)
    with pytest.raises(RunError, match=r"Ray was lost: .* status 1: abort: no head; what is finished is kept"):
        next(working)
    assert events == [(1, {"event": "note"})]
