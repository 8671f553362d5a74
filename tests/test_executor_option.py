"""The option `--on`, which names the executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from crt_cli.commands import main
from crt_run.cli import commands
from crt_run.executors.spec import Local

SMOKE = str(Path(__file__).parents[1] / "specs" / "smoke.toml")


@pytest.mark.parametrize(
    ("words", "executor"),
    [
        ([], None),
        (["--on", "local"], Local()),
        (["--on", "local", "executor.workers=3"], Local(workers=3)),
        (["executor.workers=3", "--on", "local"], Local(workers=3)),
        (["--on", "local(workers=3, threads=2)"], Local(workers=3, threads=2)),
    ],
    ids=["none", "alone", "before its fields", "after its fields", "with its fields"],
)
@pytest.mark.parametrize("command", ["run", "sweep"])
def test_points_run_on_the_executor_that_is_named(
    command: str, words: list[str], executor: Local | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies: list[Any] = []
    monkeypatch.setattr(commands, "_study", lambda study, *_, **__: studies.append(study) or 0)

    ended = CliRunner().invoke(main, [command, SMOKE, "sweep.seed=[0]", *words])

    assert ended.exit_code == 0, ended.output
    assert [study.executor for study in studies] == [executor]


def test_an_executor_that_is_not_installed_is_refused_with_those_that_are() -> None:
    ended = CliRunner().invoke(main, ["run", SMOKE, "--on", "nowhere"])

    assert ended.exit_code == 2
    assert "no executor is called 'nowhere'; installed: local" in ended.stderr
