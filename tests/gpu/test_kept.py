"""A kept result records what made it, and every bench is a part of the day."""

from __future__ import annotations

import configparser
import json
import shlex
from pathlib import Path

import day
import machine
import pytest
import results
from kept import keep, script_hash, tree_hash

from crt_verify.kernels.build import source_hash

BENCHES = Path(day.__file__).parent


def test_a_result_records_its_machine_versions_script_and_kernels(kept: Path) -> None:
    keep("attention", [1.5])

    result = json.loads((kept / "gpu-attention.json").read_text())
    script = script_hash(BENCHES / "attention.py")
    assert (result["device"], result["rehearsed"], result["results"]) == (machine.here().name, True, [1.5])
    assert (result["source"], result["script"], result["tree"]) == (source_hash(), script, tree_hash())
    assert {"torch", "cuda", "python", "made", "versions"} <= result.keys()


SOURCES = {
    "bench.py": "import inputs\nfrom kept import keep\n",
    "inputs.py": "from arms import arm\n",
    "arms.py": "import bench\n",
    "kept.py": "import results\n",
    "other.py": "",
}


@pytest.mark.parametrize(
    ("changed", "other"), [("bench", True), ("inputs", True), ("arms", True), ("kept", False), ("other", False)]
)
def test_a_script_is_another_one_once_a_module_that_it_measures_with_has_changed(
    changed: str, other: bool, tmp_path: Path
) -> None:
    for name, text in SOURCES.items():
        (tmp_path / name).write_text(text)
    before = script_hash(tmp_path / "bench.py")
    with (tmp_path / f"{changed}.py").open("a") as file:
        file.write("x = 1\n")

    after = script_hash(tmp_path / "bench.py")

    assert (after != before) == other


def test_every_bench_that_keeps_something_is_a_part_of_the_day() -> None:
    keeping = {path.name for path in BENCHES.glob("*.py") if "from kept import keep\n" in path.read_text()}

    parts = {part.command[0] for part in day.PARTS}

    assert parts == keeping


def test_the_gpu_environment_runs_the_day() -> None:
    settings = configparser.ConfigParser(interpolation=None)

    settings.read(results.ROOT / "tox.ini")

    assert shlex.split(settings["testenv:gpu"]["commands"])[:2] == ["python", "bench/gpu/day.py"]


def test_without_a_gpu_a_bench_ends_with_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(machine.REHEARSED)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    with pytest.raises(SystemExit) as ended:
        machine.here.__wrapped__()

    assert (ended.value.code, capsys.readouterr().out) == (0, "not run: no GPU\n")
