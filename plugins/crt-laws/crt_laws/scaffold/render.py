"""Writes a package from the templates, which are files of `string.Template` with `.txt` added to their names."""

from __future__ import annotations

import keyword
import re
import shutil
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from string import Template

from crt_laws.scaffold.kinds import TEMPLATES
from crtcore import kinds
from crtcore.errors import Problem, RunError, SpecError, nearest

HERE = Path(__file__).parent / "templates"
NAME = re.compile(r"(?=.{5,34}$)crt-[a-z][a-z0-9]*(-[a-z0-9]+)*")
MODULE = "MODULE"
"""A folder of this name in the templates gets the name of the package."""
TAKEN = {*kinds.__all__, "Any", "CheckedSession", "ClassVar", "Component", "FieldError", "Noise", "Rows", "Tensor"}
"""Names that the templates import or define."""


def written(name: str, kind: str, parent: Path) -> list[Path]:
    """Writes the package `name` with one component of `kind` into a new folder of `parent`; returns its files.

    Raises: SpecError if there is no such kind, or the name is no name of a plugin or is taken; RunError if the folder
    is there, or cannot be written.
    """
    values = _values(name, kind)
    folder = parent / name
    if folder.exists():
        raise RunError(f"{folder}: expected no such folder, got one; move it away, or choose another name")
    files = {folder / place: text for place, text in _rendered(kind, values)}
    try:
        folder.mkdir(parents=True)
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise RunError(f"cannot write {folder}: {error.strerror or error}") from error
    return sorted(files)


def _values(name: str, kind: str) -> dict[str, str]:
    """What the templates are filled with.

    Raises: SpecError.
    """
    if kind not in TEMPLATES:
        raise _wrong("--kind", f"no kind is called {kind!r}{nearest(kind, list(TEMPLATES))}")
    if not NAME.fullmatch(name):
        form = "crt-, then up to 30 small letters, digits and '-'"
        raise _wrong("NAME", f"expected a name such as crt-my-{kind}: {form}, got {name!r}")
    component = name.removeprefix("crt-")
    module, spec = name.replace("-", "_"), "".join(part.capitalize() for part in component.split("-"))
    if keyword.iskeyword(spec) or {spec, f"{spec}{kind.capitalize()}"} & TAKEN:
        raise _wrong(
            "NAME", f"expected another name than {name!r}, whose class would be called {spec!r}, as another is"
        )
    if find_spec(module) is not None:
        raise _wrong("NAME", f"expected a name of its own, got {name!r}: a package {module!r} is installed")
    about = TEMPLATES[kind]
    requires = "".join(f'  "{each}",\n' for each in about.requires)
    table = f"[[{kind}]]" if about.many else f"[{kind}]"
    return {
        "distribution": name, "module": module, "component": component, "spec": spec, "kind": kind,
        "summary": about.summary, "requires": requires, "table": table,
        "a_kind": f"{'An' if kind[0] in 'aeiou' else 'A'} {kind}",
    }  # fmt: skip


def _wrong(where: str, message: str) -> SpecError:
    return SpecError([Problem(where, (), message)])


def _rendered(kind: str, values: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Each file's place in the package, and its text."""
    for top in (HERE / "common", HERE / kind):
        for path in sorted(top.rglob("*.txt")):
            place = path.relative_to(top)
            parts = [values["module"] if part == MODULE else part for part in place.parts]
            text = Template(path.read_text(encoding="utf-8")).substitute(values)
            yield Path(*parts).with_name(place.name.removesuffix(".txt")), text
