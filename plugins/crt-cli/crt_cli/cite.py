"""`crt cite`: what to cite for a spec file, by the sources that its components state.

A component states its source in the docstring of its spec, after `Source:`. The BibTeX entry of an arXiv number that
stands there is in the file `references.bib` of the package that has the spec.
"""

from __future__ import annotations

import importlib.resources
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import click

import crtcore
from crt_cli.console import answer, as_json, installed, loaded, overrides, reports_errors, spec_file
from crtcore.registry import Registry
from crtcore.spec import Spec

FILE = "references.bib"
YEAR = 2026
OWN = """\
@software{{crtcore,
  author = {{{{The crtcore authors}}}},
  title = {{crtcore: compression against generation}},
  version = {{{version}}},
  year = {{{year}}},
}}
"""
SOURCE = re.compile(r"^Source: *(.*?)(?=^[A-Z]\w*:|^$|\Z)", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
ENTRY = re.compile(r"^@\w+\{.*?^\}", re.MULTILINE | re.DOTALL)
EPRINT = re.compile(r"\beprint *= *[{\"](\d{4}\.\d{4,5})[}\"]")
LINE = 100


class Cited(NamedTuple):
    """A component that a spec file uses, and what it states of its source."""

    component: str
    """Its kind and name, and who brings it."""
    source: str
    """The text after `Source:` in one line; empty: none."""
    numbers: tuple[str, ...]
    """The arXiv numbers in it."""


@click.command()
@spec_file
@overrides
@as_json
@reports_errors
def cite(spec: Path, overrides: tuple[str, ...], *, as_json: bool) -> None:
    """Print BibTeX of the papers behind the parts of a spec file."""
    study, registry = loaded(spec, overrides), installed()
    used = {
        type(each): None
        for point in study.points
        for part in (point.plan.experiment, *point.plan.parts.values())
        for each in specs_in(part)
    }
    cited = [citation(each, registry) for each in used]
    entries = {number: entry for each in used for number, entry in references(each).items()}
    known = {number: entries.get(number) for each in cited for number in each.numbers}
    if as_json:
        parts = [each._asdict() | {"numbers": list(each.numbers)} for each in cited]
        answer({"crtcore": own(), "components": parts, "entries": known})
        return
    click.echo("\n".join(comment(f"{each.component}: {each.source or 'states no source'}") for each in cited))
    click.echo(f"\n{own()}")
    for number, entry in known.items():
        click.echo(
            entry + "\n" if entry else comment(f"arXiv:{number} has no entry in the {FILE} of its package") + "\n"
        )


def own() -> str:
    """The entry of this software."""
    return OWN.format(version=crtcore.__version__, year=YEAR)


def specs_in(part: Any) -> Iterator[Spec]:
    """Every spec of a part, itself and inside it."""
    if isinstance(part, tuple):
        for each in part:
            yield from specs_in(each)
    elif attrs.has(type(part)):
        if isinstance(part, Spec):
            yield part
        for field in attrs.fields(type(part)):
            yield from specs_in(getattr(part, field.name))


def citation(spec: type[Spec], registry: Registry) -> Cited:
    """What a spec's docstring states of its source."""
    match = SOURCE.search(inspect.cleandoc(vars(spec).get("__doc__") or ""))
    source = " ".join(match[1].split()) if match else ""
    return Cited(registry.called(spec), source, tuple(dict.fromkeys(NUMBER.findall(source))))


def references(spec: type[Spec]) -> dict[str, str]:
    """The entries that the package of a spec brings, by arXiv number."""
    package = spec.__module__.partition(".")[0]
    try:
        text = (importlib.resources.files(package) / FILE).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, TypeError, ModuleNotFoundError):  # none; a module, no package
        return {}
    return {match[1]: entry for entry in ENTRY.findall(text) if (match := EPRINT.search(entry))}


def comment(text: str) -> str:
    """Lines that BibTeX does not read; outside an entry, an at sign begins one, even after a percent sign."""
    safe = text.replace("@", "(at)")
    return textwrap.fill(safe, LINE, initial_indent="% ", subsequent_indent="%   ", break_on_hyphens=False)
