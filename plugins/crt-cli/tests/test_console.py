"""How a command prints, fails and ends."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from crt_cli.commands import main
from crt_cli.console import answer, as_json, columns, needs, reports_errors, warn
from crtcore.errors import Problem, RunError, SpecError
from crtcore.registry import NotInstalled

README = Path(__file__).parents[1] / "README.md"
ROWS = [("name", "what it is"), ("vq", "nearest codebook entry"), ("residual-vq", "several books, one after another")]


def command(body: Callable[[], Any]) -> click.Command:
    """A command as packages write them."""

    @click.command()
    @as_json
    @reports_errors
    def made(as_json: bool) -> int | None:
        result: int | None = body()
        return result

    return made


def failing(error: BaseException) -> click.Command:
    def fail() -> None:
        raise error

    return command(fail)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (RunError("no room"), 1, "no room"),
        (NotInstalled("no kind"), 2, "no kind"),
        (SpecError([Problem("a.toml:3", ("prior", "use"), "gone")]), 2, "a.toml:3: prior.use: gone"),
        (KeyboardInterrupt(), 130, "stopped"),
        (FileNotFoundError(2, "No such file", "a.toml"), 1, "cannot use a.toml: No such file"),
    ],
)
def test_an_expected_error_is_one_line_and_a_status(error: BaseException, status: int, message: str) -> None:
    ended = CliRunner().invoke(failing(error))

    assert (ended.exit_code, ended.stdout, ended.stderr) == (status, "", f"{message}\n")


def test_an_error_is_one_json_document_too() -> None:
    ended = CliRunner().invoke(failing(SpecError([Problem("a.toml:3", ("prior", "use"), "gone")])), ["--json"])

    assert json.loads(ended.stdout) == {
        "error": "a.toml:3: prior.use: gone",
        "problems": [{"where": "a.toml:3", "path": ["prior", "use"], "message": "gone"}],
    }
    assert (ended.exit_code, ended.stderr) == (2, "a.toml:3: prior.use: gone\n")


def test_an_unexpected_error_is_not_hidden() -> None:
    ended = CliRunner().invoke(failing(ZeroDivisionError("1 / 0")))

    assert isinstance(ended.exception, ZeroDivisionError)


def test_with_json_only_the_answer_is_on_stdout() -> None:
    def talk() -> None:
        click.echo("working")
        answer({"done": True})

    ended = CliRunner().invoke(command(talk), ["--json"])

    assert (json.loads(ended.stdout), ended.stderr) == ({"done": True}, "working\n")


def test_a_warning_is_printed_once_in_a_command() -> None:
    def repeat() -> None:
        warn(["one", "two"])
        warn(["one"])

    ended = CliRunner().invoke(command(repeat))

    assert ended.stderr == "warning: one\nwarning: two\n"


@pytest.mark.parametrize("width", [24, 40, 200])
def test_columns_lose_no_word_at_any_width(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))

    columns(ROWS)

    text = capsys.readouterr().out
    assert text.split() == " ".join(cell for row in ROWS for cell in row).split()
    assert max(map(len, text.splitlines())) <= width


def test_a_module_that_is_missing_is_named_with_the_extra_to_install() -> None:
    with pytest.raises(RunError, match=r"^this command needs crt_nowhere: pip install 'crtcore\[run\]'$"):
        needs("run", "json", "crt_nowhere")


def test_the_command_of_the_readme_runs() -> None:
    names: dict[str, Any] = {}
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(code, names)
    (fold,) = names["crt_commands"]()

    plain, structured = CliRunner().invoke(fold), CliRunner().invoke(fold, ["--json"])

    assert (plain.stdout, json.loads(structured.stdout)) == ("folded\n", {"folded": True})


def test_help_names_every_exit_status() -> None:
    ended = CliRunner().invoke(main, ["--help"])

    assert ended.exit_code == 0
    assert re.findall(r"\b\d+\b", ended.stdout.partition("Exit status:")[2]) == ["0", "1", "2", "130", "143"]
