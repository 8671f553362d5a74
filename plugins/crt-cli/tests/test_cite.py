"""`crt cite`: sources are read from docstrings, entries from the package that has the spec."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import attrs
import pytest

from crt_cli.cite import citation, comment, own, references, specs_in
from crtcore.hooks import Component
from crtcore.kinds import BottleneckSpec
from crtcore.registry import Registry

PLUGIN = '''
import attrs
from crtcore.kinds import BottleneckSpec


@attrs.frozen(kw_only=True)
class Inner(BottleneckSpec):
    """Rounds.

    Source: Who (2001), arXiv:0101.00001, eq. 1; github.com/@who;
    What (2002), arXiv:0202.00002, and arXiv:0101.00001 again.
    Units: nats.
    """

    def build(self): ...


@attrs.frozen(kw_only=True)
class Outer(BottleneckSpec):
    """Wraps; the source of arXiv:0303.00003 is another."""

    inner: BottleneckSpec
    others: tuple[BottleneckSpec, ...] = ()

    def build(self): ...
'''
ENTRIES = """\
A word before.
@misc{who, title = {One {@} two},
  eprint = {0101.00001},
}
@article{no-number,
  title = {Unnumbered},
}

@misc{other,
  eprint = "0909.00009",
}
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package with specs and references."""
    folder = tmp_path / "crt_planted_cite"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "specs.py").write_text(PLUGIN)
    (folder / "references.bib").write_text(ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)
    import crt_planted_cite.specs as module  # type: ignore[import-not-found]

    yield module
    for name in ("crt_planted_cite", "crt_planted_cite.specs"):
        sys.modules.pop(name, None)


@pytest.fixture
def registry(planted: ModuleType) -> Registry:
    """The specs of the package as components."""
    inner = planted.Inner()
    pairs = [("inner", inner), ("outer", planted.Outer(inner=inner))]
    return Registry.of(
        ("p", Component(name, spec=type(each), summary="text", examples=(each,))) for name, each in pairs
    )


def test_a_source_ends_where_another_part_of_the_docstring_begins(planted: ModuleType, registry: Registry) -> None:
    cited = citation(planted.Inner, registry)

    assert cited.component == "bottleneck 'inner' of 'p'"
    assert cited.source.startswith("Who (2001), arXiv:0101.00001, eq. 1;")
    assert cited.source.endswith("and arXiv:0101.00001 again.")
    assert cited.numbers == ("0101.00001", "0202.00002")


def test_a_number_outside_the_source_is_not_cited(planted: ModuleType, registry: Registry) -> None:
    assert citation(planted.Outer, registry)[1:] == ("", ())


def test_a_source_is_not_inherited() -> None:
    @attrs.frozen(kw_only=True)
    class Plain(BottleneckSpec):
        def build(self): ...  # type: ignore[no-untyped-def]

    component = Component("plain", spec=Plain, summary="text", examples=(Plain(),))

    assert citation(Plain, Registry.of([("p", component)])).source == ""


def test_entries_are_found_by_their_number(planted: ModuleType) -> None:
    entries = references(planted.Inner)

    assert list(entries) == ["0101.00001", "0909.00009"]
    assert entries["0101.00001"].startswith("@misc{who,")
    assert entries["0101.00001"].endswith("}")


def test_a_spec_of_a_module_without_a_package_has_no_entries() -> None:
    @attrs.frozen(kw_only=True)
    class Alone(BottleneckSpec):
        def build(self): ...  # type: ignore[no-untyped-def]

    assert references(Alone) == {}


def test_specs_inside_specs_are_cited(planted: ModuleType) -> None:
    inner = planted.Inner()
    outer = planted.Outer(inner=inner, others=(inner, planted.Outer(inner=inner)))

    assert [type(each).__name__ for each in specs_in((outer,))] == ["Outer", "Inner", "Inner", "Outer", "Inner"]
    assert list(specs_in(None)) == []


def test_a_comment_begins_no_entry() -> None:
    text = comment("github.com/@who " + "word " * 60)

    assert "@" not in text
    assert all(line.startswith("%") and len(line) <= 100 for line in text.splitlines())


def test_the_entry_of_the_software_has_balanced_braces() -> None:
    assert own().count("{") == own().count("}") > 0
