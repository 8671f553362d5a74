"""What makes the front fast, in counts that no load of the machine changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import cattrs
import pytest

from crtcore.compose.document import Document, parse
from crtcore.compose.plan import study
from crtcore.compose.structure import StructureError, Structurer
from crtcore.kinds import BottleneckSpec, PriorSpec
from crtcore.registry import Registry
from crtcore.settings import Sampling
from crtcore.spec import Spec

SEEDS = "\n[sweep]\nseed = [{seeds}]\nbottleneck.codes = [4, 8]\n"
UNUSED = ("numpy", "torch", "rich", "cattrs", "tomli", "tomli_w", "hashlib", "difflib", "json", "crt_verify.drafters")


def swept(spec_file: Path, seeds: int) -> Document:
    return parse(spec_file.read_text() + SEEDS.format(seeds=", ".join(map(str, range(seeds)))), "swept.toml")


def test_a_study_makes_one_converter_and_structures_each_distinct_table_once(
    spec_file: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {"converters": 0, "tables": 0}
    made, structured = cattrs.Converter.__init__, cattrs.Converter.structure

    def counted_init(self: cattrs.Converter, *args: object, **given: object) -> None:
        calls["converters"] += 1
        made(self, *args, **given)  # type: ignore[arg-type]

    def counted_structure(self: cattrs.Converter, values: object, into: type) -> object:
        calls["tables"] += 1
        return structured(self, values, into)

    monkeypatch.setattr(cattrs.Converter, "__init__", counted_init)
    monkeypatch.setattr(cattrs.Converter, "structure", counted_structure)
    study(swept(spec_file, 1), registry)
    few = dict(calls)
    calls.update(converters=0, tables=0)
    points = study(swept(spec_file, 50), registry).points

    assert len(points) == 100
    assert calls == few  # as many for 100 points as for 2
    assert calls["converters"] == 1


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, True), (0, False), (2, "2")], ids=["real", "true", "false", "text"]
)
def test_equal_values_of_different_types_are_different_tables(registry: Registry, one: object, other: object) -> None:
    make = Structurer(registry)

    first, second = (_outcome(make, {"top_k": value}) for value in (one, other))

    assert first == Sampling(top_k=one)  # type: ignore[arg-type]
    assert second != first


def _outcome(make: Structurer, values: object) -> object:
    try:
        return make(values, Sampling)
    except StructureError as error:
        return error.problems


def test_a_wrong_table_is_refused_each_time(registry: Registry) -> None:
    make = Structurer(registry)

    problems = [_outcome(make, {"top_q": 1}) for _ in range(2)]

    assert problems[0] == problems[1] == _refused({"top_q": 1}, registry)


def _refused(values: object, registry: Registry) -> object:
    with pytest.raises(StructureError) as caught:
        Structurer(registry)(values, Sampling)
    return caught.value.problems


@attrs.frozen(kw_only=True)
class Code(BottleneckSpec):
    """A spec with a field that takes no part in comparisons, and one that is not printed."""

    codes: int = 2
    note: str = attrs.field(default="", eq=False)
    secret: str = attrs.field(default="", repr=False)


@attrs.frozen(kw_only=True)
class Other(PriorSpec):
    """Another spec."""

    codes: int = 2


def test_specs_compare_hash_and_print_as_attrs_makes_it() -> None:
    one, same, other = Code(note="a"), Code(note="b"), Code(codes=3)

    assert (one, hash(one)) == (same, hash(same))
    assert one != other
    assert one != Other()
    assert repr(one) == "Code(codes=2, note='a')"


def test_no_spec_has_such_methods_of_its_own(registry: Registry) -> None:
    specs = [component.spec for _, component in registry]

    assert all(spec.__eq__ is Spec.__eq__ and spec.__hash__ is Spec.__hash__ for spec in specs)
    assert all(spec.__repr__ is Spec.__repr__ for spec in specs)


@pytest.mark.parametrize(
    ("words", "unused"), [(["list"], UNUSED), (["check", "sample.toml"], ("numpy", "torch", "rich", "tomli_w"))]
)
def test_a_command_imports_only_what_it_needs(spec_file: Path, words: list[str], unused: tuple[str, ...]) -> None:
    # What the standard library imports to read entry points is not ours: json since Python 3.13.
    code = (
        "import sys\nfrom importlib.metadata import entry_points\nentry_points()\n"
        f"unused = set({unused!r}) - set(sys.modules)\n"
        "from crt_cli.commands import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        "print(sorted(unused & set(sys.modules)), file=sys.stderr)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=spec_file.parent
    )

    assert ended.stderr.splitlines()[-1] == "[]"
