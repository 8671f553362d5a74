import signal
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
from crtcore.hooks import INTERFACE, PROJECT, Component
from crtcore.kinds import BottleneckSpec
from crtcore.registry import NameClash, NotInstalled, Registry, discover

BASICS = EntryPoint(name="basics", value="crt_basics.plugin", group=PROJECT)
FSQ_ALONE = Component("fsq", spec=FSQ, summary="fsq", examples=(FSQ(levels=(3,)),))
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


def test_a_name_that_two_plugins_bring_is_neithers_and_names_both() -> None:
    other = Component("mine", spec=Other, summary="other", examples=(Other(),))

    registry = Registry.of([("first", own("mine")), ("second", other), ("third", FSQ_ALONE)])

    assert registry.names("bottleneck") == ["fsq"]
    (line,) = registry.broken
    assert "as bottleneck 'mine' (Own) from 'first' and as bottleneck 'mine' (Other) from 'second'" in line
    with pytest.raises(NameClash, match=r"from 'first' and .* from 'second'"):
        registry.find("bottleneck", "mine")


def test_a_spec_under_two_names_has_neither_and_names_both_plugins() -> None:
    registry = Registry.of([("first", own("mine")), ("second", own("yours"))])

    assert registry.names("bottleneck") == []
    for name in ("mine", "yours"):
        with pytest.raises(NameClash) as caught:
            registry.find("bottleneck", name)
        assert all(repr(word) in str(caught.value) for word in ("first", "second", "mine", "yours"))


def test_the_same_component_from_two_plugins_is_there_once_and_names_both() -> None:
    registry = Registry.of([("first", own("mine")), ("second", own("mine"))])

    assert [plugin for plugin, _ in registry] == ["first"]
    assert registry.broken == ("'second' brings bottleneck 'mine' again, which 'first' brings",)


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
        registry.broken = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        registry._found["x"] = None  # type: ignore[index]


def test_a_registry_of_ones_own_leaves_no_trace() -> None:
    Registry.of([("mine", own("own"))])

    assert "own" not in discover([]).names("bottleneck")


def test_a_registry_keeps_its_own_copy_of_what_is_broken() -> None:
    broken = ["one"]
    registry = Registry.of((), broken)

    broken.append("two")

    assert registry.broken == ("one",)


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
    "no-example": (GOOD.replace("(Mine(),)", "()").replace("NAME", "x"), "a tuple of specs as examples, got ()"),
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

    assert [line.startswith("plugin 'bad' could not be loaded (") for line in registry.broken] == [True]
    assert registry.names("bottleneck") == ["one", "two"]
    with pytest.raises(NotInstalled) as caught:
        registry.find("prior", "gpt")
    assert "plugin 'bad' could not be loaded" in caught.value.args[0]
    assert message in caught.value.args[0]


@pytest.mark.parametrize(("made", "newer"), [(INTERFACE + 1, "crtcore"), (INTERFACE - 1, "it"), ("two", "it")])
def test_a_plugin_for_another_interface_is_left_out_and_what_to_install_is_named(
    plant: Plant, made: object, newer: str
) -> None:
    other = GOOD.replace("NAME", "one") + f"\n    CRT_INTERFACE = {made!r}\n"

    registry = discover([plant("other", other), plant("two", GOOD.replace("NAME", "two"))])

    assert registry.names("bottleneck") == ["two"]
    text = f"needs interface {made!r} and crtcore has {INTERFACE}: install a newer version of {newer})"
    assert [line.endswith(text) for line in registry.broken] == [True]


def test_a_plugin_may_name_the_interface_that_is_there(plant: Plant) -> None:
    registry = discover([plant("same", GOOD.replace("NAME", "one") + f"\n    CRT_INTERFACE = {INTERFACE}\n")])

    assert registry.names("bottleneck") == ["one"]


def test_a_plugin_without_components_is_not_broken(plant: Plant) -> None:
    assert not discover([plant("empty", "")]).broken


def test_a_missing_module_breaks_its_plugin_alone() -> None:
    registry = discover([EntryPoint(name="gone", value="uninstalled_long_ago.plugin", group=PROJECT)])

    assert registry.broken[0].startswith("plugin 'gone' could not be loaded (ModuleNotFoundError: ")


def test_a_missing_attribute_breaks_its_plugin_alone(plant: Plant) -> None:
    entry = plant("good", GOOD.replace("NAME", "mine"))

    registry = discover([EntryPoint(name="bad", value=f"{entry.value}:nothing", group=PROJECT)])

    assert registry.broken[0].startswith("plugin 'bad' could not be loaded (AttributeError: ")


def test_two_plugins_of_one_name_are_both_there(plant: Plant) -> None:
    first, second = plant("one", GOOD.replace("NAME", "one")), plant("two", GOOD.replace("NAME", "two"))

    registry = discover([first, EntryPoint(name="one", value=second.value, group=PROJECT)])

    assert registry.names("bottleneck") == ["one", "two"]
    assert not registry.broken


def test_one_module_as_two_plugins_brings_its_components_once(plant: Plant) -> None:
    first = plant("one", GOOD.replace("NAME", "one"))

    registry = discover([first, EntryPoint(name="two", value=first.value, group=PROJECT), plant("three", "")])

    assert registry.names("bottleneck") == ["one"]
    assert registry.broken == ("plugin 'two' brings bottleneck 'one' again, which plugin 'one' brings",)


def test_two_broken_plugins_of_one_name_are_both_named(plant: Plant) -> None:
    first, second = plant("one", "1 / 0"), plant("two", "raise OSError('disk')")

    registry = discover([first, EntryPoint(name="one", value=second.value, group=PROJECT)])

    assert ["ZeroDivisionError" in registry.broken[0], "OSError" in registry.broken[1]] == [True, True]


def test_plugins_that_bring_one_name_clash(plant: Plant) -> None:
    text = GOOD.replace("NAME", "mine")

    registry = discover([plant("one", text), plant("two", text), plant("three", GOOD.replace("NAME", "other"))])

    assert registry.names("bottleneck") == ["other"]
    with pytest.raises(NameClash, match=r"from plugin 'one' and .* from plugin 'two'; uninstall one of them"):
        registry.find("bottleneck", "mine")


def test_a_plugin_cannot_shadow_a_component_of_another(plant: Plant) -> None:
    registry = discover([BASICS, plant("one", GOOD.replace("NAME", "fsq"))])

    assert "fsq" not in registry.names("bottleneck")
    assert "table" in registry.names("prior")
    with pytest.raises(NameClash, match=r"from plugin 'basics' and .* from plugin 'one'"):
        registry.find("bottleneck", "fsq")


@pytest.mark.usefixtures("guard")
def test_what_a_plugin_prints_goes_to_stderr(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    discover([plant("loud", "print('hello')")])

    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello\n")


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize(
    "raised",
    ["KeyboardInterrupt", "SystemExit(0)", "GeneratorExit", "BaseException('x')", "type('X', (BaseException,), {})"],
)
def test_whatever_a_plugin_raises_is_its_own_fault(plant: Plant, raised: str) -> None:
    registry = discover([plant("bad", f"raise {raised}"), plant("good", GOOD.replace("NAME", "mine"))])

    assert registry.names("bottleneck") == ["mine"]
    assert registry.broken[0].startswith("plugin 'bad' could not be loaded (")


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_load_even_if_the_plugin_catches_what_it_raises(plant: Plant, number: int) -> None:
    class Ended(BaseException):
        pass

    def end(*_: object) -> None:
        raise Ended

    before = signal.signal(number, end)
    text = f"import signal\ntry:\n    signal.raise_signal({int(number)})\nexcept BaseException:\n    pass"
    try:
        with pytest.raises(Ended):
            discover([plant("slow", text)])
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize(
    "text",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "try:\n    while True: pass\nexcept Exception: pass",
    ],
)
def test_a_plugin_that_hangs_is_named_after_the_limit(plant: Plant, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("crt_cli.guard.LIMIT", 0.2)
    fired = []
    handler = signal.signal(signal.SIGALRM, lambda *_: fired.append(True))
    earlier = signal.setitimer(signal.ITIMER_REAL, 100)
    try:
        registry = discover([plant("bad", text), plant("good", GOOD.replace("NAME", "mine"))])
        assert 99 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100
    finally:
        signal.setitimer(signal.ITIMER_REAL, *earlier)
        signal.signal(signal.SIGALRM, handler)

    assert registry.names("bottleneck") == ["mine"]
    assert registry.broken == ("plugin 'bad' could not be loaded (no answer within 0.2 s)",)
    assert not fired


def test_discovery_imports_no_torch() -> None:
    code = "import sys, crtcore; crtcore.discover(); print(sorted({'torch', 'numpy', 'scipy'} & set(sys.modules)))"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout == "[]\n"


def test_the_test_plugin_is_whole(planted: ModuleType, registry: Registry) -> None:
    assert {component.name for component in planted.COMPONENTS} <= {component.name for _, component in registry}
