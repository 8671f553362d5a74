import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

from crt_basics.bottlenecks.specs import FSQ
from crt_basics.metrics.specs import CodeLength
from crtcore.cli.commands import brought
from crtcore.hooks import PROJECT, Component
from crtcore.kinds import BottleneckSpec
from crtcore.registry import NameClash, NotInstalled, Registry, discover

BASICS = EntryPoint(name="basics", value="crt_basics.plugin", group=PROJECT)
Plant = Callable[[str, str], EntryPoint]

GOOD = """
    import attrs
    from crtcore.hooks import Component, hookimpl
    from crtcore.kinds import BottleneckSpec

    @attrs.frozen(kw_only=True)
    class Mine(BottleneckSpec):
        def build(self): ...

    @hookimpl
    def crt_components():
        return [Component("NAME", spec=Mine, summary="mine", examples=(Mine(),))]
"""


@attrs.frozen(kw_only=True)
class Own(BottleneckSpec):
    def build(self) -> Any:
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Other(BottleneckSpec):
    def build(self) -> Any:
        raise NotImplementedError


def own(name: str) -> Component:
    return Component(name, spec=Own, summary="own", examples=(Own(),))


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


def test_names_are_sorted_and_of_one_kind(registry: Registry) -> None:
    assert registry.names("bottleneck") == ["book", "fsq", "shaken"]


def test_find_gives_the_component_of_that_kind_and_name(registry: Registry) -> None:
    assert registry.find("bottleneck", "fsq").spec is FSQ


def test_a_spec_knows_the_name_of_its_component(registry: Registry) -> None:
    assert registry.name(CodeLength()) == "code-length"


def test_an_unknown_component_is_named_with_the_nearest_and_all_installed(registry: Registry) -> None:
    with pytest.raises(NotInstalled) as caught:
        registry.find("bottleneck", "fsk")

    assert caught.value.args[0] == ("no bottleneck is called 'fsk'; did you mean 'fsq'? installed: book, fsq, shaken")


def test_the_message_for_a_kind_without_components_lists_none() -> None:
    with pytest.raises(NotInstalled, match="no prior is called 'gpt'; installed: none"):
        Registry.of(()).find("prior", "gpt")


def test_a_spec_that_no_plugin_brings_has_no_name(registry: Registry) -> None:
    with pytest.raises(NotInstalled, match="Own"):
        registry.name(Own())


def test_two_plugins_with_one_name_are_both_named() -> None:
    other = Component("mine", spec=Other, summary="other", examples=(Other(),))

    with pytest.raises(NameClash, match="bottleneck 'mine' comes from both 'first' and 'second'"):
        Registry.of([("first", own("mine")), ("second", other)])


def test_one_spec_under_two_names_names_both_plugins() -> None:
    with pytest.raises(NameClash) as caught:
        Registry.of([("first", own("mine")), ("second", own("yours"))])

    assert all(repr(word) in str(caught.value) for word in ("first", "second", "mine", "yours"))


def test_components_come_by_kind_then_name(registry: Registry) -> None:
    components = [(component.kind, component.name) for _, component in registry]

    assert components[:5] == [
        ("tokenizer", "patches"),
        ("tokenizer", "words"),
        ("bottleneck", "book"),
        ("bottleneck", "fsq"),
        ("bottleneck", "shaken"),
    ]


def test_a_registry_cannot_be_changed(registry: Registry) -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        registry.broken = {}  # type: ignore[misc]
    with pytest.raises(TypeError):
        registry.broken["x"] = ValueError()  # type: ignore[index]
    with pytest.raises(TypeError):
        registry._found["x"] = None  # type: ignore[index]


def test_a_registry_of_ones_own_leaves_no_trace() -> None:
    Registry.of([("mine", own("own"))])

    assert "own" not in discover([]).names("bottleneck")


def test_a_registry_keeps_its_own_copy_of_what_is_broken() -> None:
    broken: dict[str, BaseException] = {"one": ValueError()}
    registry = Registry.of((), broken)

    broken["two"] = ValueError()

    assert list(registry.broken) == ["one"]


def test_the_core_alone_brings_no_component() -> None:
    assert list(discover([])) == []


def test_a_plugin_brings_its_components_under_its_own_name(plant: Plant) -> None:
    registry = discover([plant("good", GOOD.replace("NAME", "mine"))])

    assert [plugin for plugin, component in registry if component.name == "mine"] == ["good"]


BROKEN = {
    "no-module": ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    "import": ("raise ImportError('libcudart.so.13')", "ImportError: libcudart.so.13"),
    "syntax": ("def f(:", "SyntaxError"),
    "exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "raises": (GOOD.replace("return [", "raise KeyError('gone'); [").replace("NAME", "x"), "KeyError: 'gone'"),
    "none": (GOOD.replace("return [", "[").replace("NAME", "x"), "expected a list of Component, got None"),
    "number": (GOOD.replace("return [", "return 7; [").replace("NAME", "x"), "expected a list of Component, got 7"),
    "text": (GOOD.replace("return [", "return 'ab'; [").replace("NAME", "x"), "expected a list of Component, got 'ab'"),
    "entries": (GOOD.replace("return [", "return [Mine]; [").replace("NAME", "x"), "expected a list of Component, got"),
    "half": (GOOD.replace(")]", "), 5]").replace("NAME", "x"), "expected a list of Component, got 5"),
    "misspelt": (GOOD.replace("crt_components", "crt_componets").replace("NAME", "x"), "crt_componets"),
    "argument": (GOOD.replace("crt_components()", "crt_components(colour)").replace("NAME", "x"), "colour"),
    "no-example": (GOOD.replace("(Mine(),)", "()").replace("NAME", "x"), "at least one example spec"),
    "name": (GOOD.replace("NAME", "My Name"), "My Name"),
    "kind": (GOOD.replace("BottleneckSpec)", "Spec)").replace("import BottleneckSpec", "import Spec").replace(
        "crtcore.kinds", "crtcore.spec"
    ).replace("def build", "kind = 'colour'\n        def build").replace("NAME", "x"), "a known kind"),
}  # fmt: skip


@pytest.mark.parametrize("sort", BROKEN)
def test_a_broken_plugin_is_recorded_and_stops_no_other(plant: Plant, sort: str) -> None:
    text, message = BROKEN[sort]
    before, after = plant("before", GOOD.replace("NAME", "one")), plant("after", GOOD.replace("NAME", "two"))

    registry = discover([before, plant("bad", text), after])

    assert list(registry.broken) == ["bad"]
    assert registry.names("bottleneck") == ["one", "two"]
    with pytest.raises(NotInstalled) as caught:
        registry.find("prior", "gpt")
    assert "plugin 'bad' could not be loaded" in caught.value.args[0]
    assert message in caught.value.args[0]


def test_a_plugin_without_components_is_not_broken(plant: Plant) -> None:
    assert not discover([plant("empty", "")]).broken


def test_a_missing_module_breaks_its_plugin_alone() -> None:
    registry = discover([EntryPoint(name="gone", value="uninstalled_long_ago.plugin", group=PROJECT)])

    assert isinstance(registry.broken["gone"], ModuleNotFoundError)


def test_a_missing_attribute_breaks_its_plugin_alone(plant: Plant) -> None:
    entry = plant("good", GOOD.replace("NAME", "mine"))

    registry = discover([EntryPoint(name="bad", value=f"{entry.value}:nothing", group=PROJECT)])

    assert isinstance(registry.broken["bad"], AttributeError)


def test_of_two_plugins_of_one_name_the_second_is_broken(plant: Plant) -> None:
    first, second = plant("one", GOOD.replace("NAME", "one")), plant("two", GOOD.replace("NAME", "two"))

    registry = discover([first, EntryPoint(name="one", value=second.value, group=PROJECT)])

    assert registry.names("bottleneck") == ["one"]
    assert "another plugin is called 'one'" in str(registry.broken["one"])


def test_one_module_as_two_plugins_is_loaded_once(plant: Plant) -> None:
    first = plant("one", GOOD.replace("NAME", "one"))

    registry = discover([first, EntryPoint(name="two", value=first.value, group=PROJECT), plant("three", "")])

    assert registry.names("bottleneck") == ["one"]
    assert list(registry.broken) == ["two"]


def test_two_broken_plugins_of_one_name_are_both_kept(plant: Plant) -> None:
    first, second = plant("one", "1 / 0"), plant("two", "raise OSError('disk')")

    registry = discover([first, EntryPoint(name="one", value=second.value, group=PROJECT)])

    assert [type(error) for error in registry.broken.values()] == [ZeroDivisionError, OSError]


def test_plugins_that_bring_one_name_clash(plant: Plant) -> None:
    text = GOOD.replace("NAME", "mine")

    with pytest.raises(NameClash, match="'one' and 'two'"):
        discover([plant("one", text), plant("two", text)])


def test_a_plugin_cannot_shadow_a_component_of_another(plant: Plant) -> None:
    with pytest.raises(NameClash, match="bottleneck 'fsq' comes from both 'basics' and 'one'"):
        discover([BASICS, plant("one", GOOD.replace("NAME", "fsq"))])


def test_what_a_plugin_prints_goes_to_stderr(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    discover([plant("loud", "print('hello')")])

    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello\n")


def test_an_interrupt_is_no_broken_plugin(plant: Plant) -> None:
    with pytest.raises(KeyboardInterrupt):
        discover([plant("slow", "raise KeyboardInterrupt")])


def test_discovery_imports_no_torch() -> None:
    code = "import sys, crtcore; crtcore.discover(); print(sorted({'torch', 'numpy', 'scipy'} & set(sys.modules)))"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout == "[]\n"


def test_the_test_plugin_is_whole(planted: ModuleType, registry: Registry) -> None:
    assert {component.name for component in planted.COMPONENTS} <= {component.name for _, component in registry}


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


@pytest.mark.parametrize("wrong", ["return 7; [", "return [7]; [", "raise KeyError('gone'); ["])
def test_a_plugin_with_wrong_commands_is_named_and_stops_no_other(plant: Plant, wrong: str) -> None:
    entries = [plant("bad", COMMAND.replace("return [", wrong)), plant("good", COMMAND), plant("none", GOOD)]

    commands, broken = brought(entries)

    assert list(commands) == ["fold"]
    assert list(broken) == ["bad"]


def test_a_command_that_another_plugin_brings_is_refused(plant: Plant) -> None:
    commands, broken = brought([plant("one", COMMAND), plant("two", COMMAND)])

    assert list(commands) == ["fold"]
    assert "another package brings the command 'fold'" in str(broken["two"])


def test_commands_stand_beside_components(plant: Plant) -> None:
    entry = plant("both", COMMAND + GOOD.replace("NAME", "mine"))

    assert discover([entry]).names("bottleneck") == ["mine"]
    assert list(brought([entry])[0]) == ["fold"]
