"""Commands that packages bring: each fault is named, and stops no other."""

import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from crt_cli.commands import Commands, brought
from crtcore.hooks import PROJECT
from crtcore.loading import call
from crtcore.registry import discover

Plant = Callable[[str, str], EntryPoint]

COMMAND = """
    import click
    from crtcore.hooks import hookimpl

    @click.command("fold")
    def fold():
        "Fold."

    @hookimpl
    def crt_commands():
        return [fold]
"""
COMPONENT = """
    import attrs
    from crtcore.hooks import Component, hookimpl
    from crtcore.kinds import BottleneckSpec

    @attrs.frozen(kw_only=True)
    class Mine(BottleneckSpec):
        def build(self): ...

    @hookimpl
    def crt_components():
        return [Component("mine", spec=Mine, summary="mine", examples=(Mine(),))]
"""


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    """Writes a plugin's module where it can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def made(name: str, text: str) -> EntryPoint:
        (tmp_path / f"planted_{name}.py").write_text(textwrap.dedent(text))
        written.append(f"planted_{name}")
        return EntryPoint(name=name, value=f"planted_{name}", group=PROJECT)

    yield made
    for module in written:
        sys.modules.pop(module, None)


@pytest.mark.parametrize("wrong", ["return 7; [", "return [7]; [", "raise KeyError('gone'); ["])
def test_a_plugin_with_wrong_commands_is_named_and_stops_no_other(plant: Plant, wrong: str) -> None:
    entries = [plant("bad", COMMAND.replace("return [", wrong)), plant("good", COMMAND), plant("none", COMPONENT)]

    commands, broken = brought(entries)

    assert list(commands) == ["fold"]
    assert [line.startswith("plugin 'bad' could not be loaded (") for line in broken] == [True]


def test_a_command_that_two_plugins_bring_is_neithers(plant: Plant) -> None:
    other = plant("three", COMMAND.replace("fold", "unfold"))

    commands, broken = brought([plant("one", COMMAND), plant("two", COMMAND), other])

    assert list(commands) == ["unfold"]
    assert broken == ["the command 'fold' comes from plugin 'one' and plugin 'two'; uninstall one of them"]


@pytest.mark.parametrize("name", ["list", "check"])
def test_a_command_of_this_package_cannot_be_replaced(plant: Plant, name: str) -> None:
    commands, broken = brought([plant("one", COMMAND.replace("fold", name))])

    assert not commands
    assert broken == [f"the command {name!r} comes from crt-cli and plugin 'one'; uninstall one of them"]


def test_commands_stand_beside_components(plant: Plant) -> None:
    entry = plant("both", COMMAND + COMPONENT)

    assert discover([entry]).names("bottleneck") == ["mine"]
    assert list(brought([entry])[0]) == ["fold"]


def test_calls_of_plugins_code_are_guarded_as_long_as_a_command_runs() -> None:
    handlers = []

    @click.command("fold")
    def fold() -> None:
        handlers.append(call("x", signal.getsignal, signal.SIGALRM))

    before = signal.getsignal(signal.SIGALRM)
    ended = CliRunner().invoke(Commands(commands=[fold]), ["fold"])

    assert ended.exit_code == 0
    assert [handler is before for handler in handlers] == [False]
    assert call("x", signal.getsignal, signal.SIGALRM) is before
