"""Commands that are killed at any moment: given again, they end with the same results and leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SMOKE = HERE.parents[1] / "specs" / "smoke.toml"
TEXT = f"""\
extends = "{SMOKE}"
[experiment]
use = "two-stage"
evaluations = 2
[dataset]
test = 60
[training.tokenizer]
steps = 12
batch = 8
checkpoint = 2
[training.prior]
steps = 8
batch = 8
checkpoint = 2
[training.draft]
steps = 4
batch = 8
checkpoint = 2
"""
SPECS = {
    "single": TEXT,
    "sweep": f'{TEXT}[executor]\nuse = "local"\nworkers = 2\n[sweep]\nseed = [0, 1]\n',
}
REAL = 25
"""Of as many cases one starts the command from nothing, with workers that are spawned; others fork both."""
SIGNALS = {
    "a kill of the command": (signal.SIGKILL, "parent"),
    "a kill of a worker": (signal.SIGKILL, "worker"),
    "SIGTERM": (signal.SIGTERM, "parent"),
    "SIGTERM to all": (signal.SIGTERM, "group"),
    "Ctrl-C": (signal.SIGINT, "group"),
    "SIGINT": (signal.SIGINT, "parent"),
}


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """The script that kills."""
    folder = tmp_path_factory.mktemp("kills")
    paths = []
    for name, text in SPECS.items():
        paths.append(folder / f"{name}.toml")
        paths[-1].write_text(f'name = "{name}"\n{text}')
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, str(HERE / "killed.py"), str(folder), *map(str, paths)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield process
        process.communicate()


def ended(answer: dict[str, Any]) -> tuple[str, str]:
    """The word for how a case ended, and the reason."""
    faults = {
        "traceback": bool(answer["traceback"]),
        "not ended": answer["again"] != 0,
        "silent": not answer["same"],
        "left behind": bool(answer["left"]),
    }
    wrong = [word for word, is_so in faults.items() if is_so]
    return (wrong[0], str(answer)) if wrong else ("unharmed", "")


@pytest.mark.slow
def test_a_killed_command_given_again_ends_the_same(killer: subprocess.Popen[str], faults: Any) -> None:
    assert killer.stdin is not None
    assert killer.stdout is not None
    for case in faults.cases(reduced=12, full=500):
        rng = case.random
        name = rng.choice(list(SIGNALS))
        number, whose = SIGNALS[name]
        order = {
            "spec": rng.randrange(len(SPECS)), "signal": int(number), "whose": whose, "real": case.number % REAL == 24,
            "moments": [rng.random() for _ in range(rng.choice([1, 1, 1, 2, 3]))],
        }  # fmt: skip
        killer.stdin.write(json.dumps(order) + "\n")
        killer.stdin.flush()
        line = killer.stdout.readline()
        assert line, "the script ended"
        outcome, reason = ended(json.loads(line))
        faults.record(case, outcome, f"{name} of a {list(SPECS)[order['spec']]} at {order['moments']}: {reason}")
    assert not faults.wrong, "\n".join(faults.wrong)
