"""`help()` of a spec shows each field: the text under it, its type, default and range; importing it reads no source."""

from __future__ import annotations

import copy
import inspect
import pydoc
import subprocess
import sys
from typing import Literal

import attrs
import pytest

from crtcore.kinds import BottleneckSpec
from crtcore.registry import discover
from crtcore.spec import Spec, at_least, below, divides, each, whole


@attrs.frozen(kw_only=True)
class Documented(BottleneckSpec):
    """A bottleneck that is never built."""

    codes: int = attrs.field(validator=at_least(2))
    """Entries in the codebook."""
    decay: float = attrs.field(default=0.5, validator=[at_least(0), below(1)])
    """Decay of an average,

    in two paragraphs."""
    levels: tuple[int, ...] = attrs.field(default=(3,), validator=each(at_least(1)))
    """Levels of each channel."""
    heads: int = attrs.field(default=1, validator=divides("codes"))
    """Heads."""
    stop: tuple[int, ...] = attrs.field(default=(), validator=attrs.validators.deep_iterable(whole))
    """Ids to stop at."""
    start: Literal["normal", "uniform"] = "normal"
    plain: bool = False


@attrs.frozen(kw_only=True)
class Narrower(Documented):
    """Inherits most fields."""

    warmth: float = attrs.field(default=0.25, validator=below(0.5))
    """How warm it is."""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("codes", "Entries in the codebook.\nint; required; at least 2"),
        ("decay", "Decay of an average,\n\nin two paragraphs.\nfloat; default 0.5; at least 0; less than 1"),
        ("levels", "Levels of each channel.\ntuple[int, ...]; default (3,); one or more, each at least 1"),
        ("heads", "Heads.\nint; default 1; a divisor of codes"),
        ("start", "\nLiteral['normal', 'uniform']; default 'normal'"),
        ("plain", "\nbool; default False"),
    ],
)
def test_a_field_has_its_text_type_default_and_range(name: str, text: str) -> None:
    assert inspect.getdoc(getattr(Documented, name)) == text.lstrip("\n")


def test_help_shows_own_and_inherited_fields() -> None:
    text = pydoc.plain(pydoc.render_doc(Narrower))

    assert "How warm it is.\n |      float; default 0.25; less than 0.5" in text
    assert "Entries in the codebook.\n |      int; required; at least 2" in text
    assert "An integer that is not negative, such as an id." in text


def test_specs_without_source_have_types_and_defaults() -> None:
    made = attrs.make_class("Made", {"size": attrs.field(default=3, type=int)}, bases=(Spec,), slots=True)

    assert inspect.getdoc(made.size) == "int; default 3"


def test_specs_are_compared_and_copied_as_before() -> None:
    spec = Documented(codes=4)

    assert copy.deepcopy(spec) == spec
    assert attrs.evolve(spec, decay=0.1) != spec
    assert [name for name in Documented.__slots__ if name != "__weakref__"] == [
        field.name for field in attrs.fields(Documented)
    ]


def test_every_field_of_every_installed_spec_has_a_text() -> None:
    bare = [
        f"{component.kind} {component.name}: {field.name}"
        for _, component in discover()
        for field in attrs.fields(component.spec)
        if (inspect.getdoc(getattr(component.spec, field.name)) or "\n").startswith("\n")
    ]

    assert bare == []


def test_listing_components_reads_no_source() -> None:
    code = (
        "import ast, sys; from crtcore import discover; "
        "ast.parse = lambda *_: sys.exit('source was read'); assert list(discover())"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
