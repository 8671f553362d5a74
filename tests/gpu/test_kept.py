"""What a bench keeps says what made it."""

from __future__ import annotations

import configparser
import hashlib
import json
from pathlib import Path

import kept
import pytest

from crt_verify.kernels.build import source_hash


def test_a_result_names_its_device_its_script_and_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "RESULTS", tmp_path)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a GPU")

    kept.keep("attention", [1.5])

    told = json.loads((tmp_path / "gpu-attention.json").read_text())
    script = hashlib.sha256((Path(kept.__file__).parent / "attention.py").read_bytes()).hexdigest()
    assert (told["device"], told["results"]) == ("a GPU", [1.5])
    assert (told["source"], told["script"]) == (source_hash(), script[:16])


def test_every_bench_is_in_the_gpu_environment() -> None:
    benches = Path(kept.__file__).parent
    settings = configparser.ConfigParser(interpolation=None)

    settings.read(benches.parents[1] / "tox.ini")

    run = {line.split()[1] for line in settings["testenv:gpu"]["commands"].split("\n") if line}
    assert run == {f"bench/gpu/{path.name}" for path in benches.glob("*.py")} - {"bench/gpu/kept.py"}
