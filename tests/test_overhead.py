"""What the framework does besides the work, in counts that no load of the machine changes: the bench, reduced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import crt_run.runs.execute as execute_module
from crt_cli.commands import main
from crt_run.runs import files, provenance
from crtcore import Noise, discover
from crtcore.compose.plan import load

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts of the bench can be imported."""
    monkeypatch.syspath_prepend(BENCH)


@pytest.fixture
def pieces(bench: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Pieces of work that do nothing, by an experiment that is installed as others are."""
    from trivial import SWEEP, write_experiment

    monkeypatch.syspath_prepend(write_experiment(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    Path("spec.toml").write_text(SWEEP.format(seeds=list(range(12))))
    points = load(Path("spec.toml"), discover()).points
    return [{"document": dict(point.plan.document), "runs": "runs", "fresh": False} for point in points]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often what takes time was called."""
    called: Counter[str] = Counter()

    def count(module: Any, name: str) -> None:
        real = getattr(module, name)

        def counted(*words: Any, **given: Any) -> Any:
            called[name] += 1
            return real(*words, **given)

        monkeypatch.setattr(module, name, counted)

    count(os, "fsync")
    count(files, "read")
    count(subprocess, "run")
    count(execute_module, "discover")
    count(provenance, "distributions")
    return called


@pytest.fixture
def handler() -> Iterator[None]:
    """Puts back what SIGTERM does, which work changes."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def done(piece: dict[str, Any]) -> bool:
    return "result" in execute_module.work(piece, lambda event: None)


def test_a_process_looks_once_at_what_is_installed(
    pieces: list[dict[str, Any]], counts: Counter[str], handler: None
) -> None:
    execute_module._asked.cache_clear()
    provenance._versions.cache_clear()
    each = []
    for piece in pieces[:4]:
        before = Counter(counts)
        assert done(piece)
        each.append(counts - before)
    execute_module._asked.cache_clear()  # this process goes on without the experiment

    assert counts["discover"] == counts["distributions"] == 1
    assert each[1] == each[2] == each[3]
    assert each[1]["fsync"] <= 4  # run.json as it begins and as it ends, the spec file, and the result
    assert each[1]["run"] == 1  # the state of the checkout


def test_what_a_sweep_reads_and_writes_is_in_a_line_with_its_points(
    pieces: list[dict[str, Any]], counts: Counter[str], handler: None
) -> None:
    execute_module._asked.cache_clear()
    assert all(map(done, pieces))
    execute_module._asked.cache_clear()
    read, synced = [], []
    for seeds in (4, 8, 12):
        counts.clear()
        words = ["sweep", "spec.toml", f"sweep.seed={list(range(seeds))}", "--runs", "runs", "--json"]
        ended = CliRunner().invoke(main, words)
        assert ended.exit_code == 0, ended.output
        assert len(json.loads(ended.stdout)["runs"]) == seeds
        read.append(counts["read"])
        synced.append(counts["fsync"])

    assert read[2] - read[1] == read[1] - read[0] <= 4 * 12
    assert synced[0] == synced[1] == synced[2]


@pytest.mark.parametrize("stage", ["tokenizer", "prior"])
def test_the_loop_trains_as_one_by_hand_and_draws_seeds_ahead(
    stage: str, bench: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bare_loop import in_turns

    drawn = []
    seeds = Noise.seeds
    monkeypatch.setattr(Noise, "seeds", lambda own, *indices: drawn.append(own.stream) or seeds(own, *indices))

    turns = in_turns(stage, tmp_path, steps=24, block=8, channels=4, width=8)  # raises where weights differ

    assert [len(loop) for loop in turns] == [3, 3]
    assert drawn.count(f"noise of the {stage}'s steps") <= 2  # one for the 24 steps, one for a step of a stage before


def test_fifty_further_plugins_are_listed_each_by_one_import(bench: None, tmp_path: Path) -> None:
    from trivial import environment, write_plugins

    site = write_plugins(tmp_path / "site", 50)
    code = (
        "import sys\n"
        "from crt_cli.commands import main\n"
        "try:\n    main(['list', '--json'])\nexcept SystemExit:\n    pass\n"
        "ours = sum(name.startswith('crt_small') for name in sys.modules)\n"
        "print(ours, 'torch' in sys.modules, file=sys.stderr)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment(site), capture_output=True, text=True, check=True
    )

    assert all(f'"small-{number}"' in ended.stdout for number in range(50))
    assert ended.stderr.splitlines()[-1] == "100 False"  # a package and its module, each
