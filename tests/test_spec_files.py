"""The reference of spec files: it is what the command writes, and every snippet of it can be pasted."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from crt_cli.commands import main
from crt_run.cli.describe import component_shown
from crt_run.cli.language import BY_NAME, KEYS
from crt_run.cli.whole import chosen, experiments, place
from crt_run.runs.execute import execute
from crtcore import discover
from crtcore.compose.document import Document, merged
from crtcore.compose.plan import load, study
from crtcore.errors import SpecError
from crtcore.hooks import Component
from crtcore.kinds import ExperimentSpec

ROOT = Path(__file__).parent.parent
REGISTRY = discover()
COMPONENTS = {f"{component.kind}/{component.name}": (plugin, component) for plugin, component in REGISTRY}
HOSTS: list[dict[str, Any]] = [
    *filter(None, (chosen(experiment, REGISTRY) for experiment in experiments(REGISTRY))),
    *(
        values
        for path in sorted(ROOT.glob("specs/*/*.toml"))
        if "extends" not in (values := tomllib.loads(path.read_text()))
    ),
]
"""Spec files that components are pasted into."""


def snippet(name: str) -> str:
    text: str = component_shown(REGISTRY, *COMPONENTS[name])["snippet"]
    return text


def problems(values: dict[str, Any], *more: dict[str, Any]) -> list[str]:
    document = Document(values, {})
    for each in more:
        document = merged(document, Document(each, {}))
    try:
        study(document, REGISTRY)
    except SpecError as error:
        return [str(problem) for problem in error.problems]
    return []


def pasted(component: Component, host: dict[str, Any], table: dict[str, Any]) -> list[str]:
    """What is wrong with a host that has the table in the first role that takes it."""
    experiment = REGISTRY.find("experiment", host["experiment"]["use"]).spec
    assert issubclass(experiment, ExperimentSpec)
    if component.kind == "executor":
        return problems(host, {"executor": table})
    roles = {role: what.many for role, what in experiment.roles.items() if what.kind == component.kind}
    host = {key: value for key, value in host.items() if key != "sweep"}
    tried = [problems(host, {role: [table] if many else table}) for role, many in roles.items()]
    return min(tried, key=len, default=["no role takes it"])


def test_the_page_is_what_the_command_writes() -> None:
    page = (ROOT / "docs" / "spec-files.md").read_text()

    # in a process without the type checks of tests, which refuse the values that ranges are asked with
    command = [sys.executable, "-m", "crtcore", "schema", "--markdown"]
    written = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert page == written, "crt schema --markdown > docs/spec-files.md"


@pytest.mark.parametrize("name", [name for name in COMPONENTS if not name.startswith("experiment/")])
def test_the_snippet_of_a_component_can_be_pasted_into_a_spec_file(name: str) -> None:
    _, component = COMPONENTS[name]
    role, many = place(component, REGISTRY)
    table = tomllib.loads(snippet(name))[role]
    table = table[0] if many else table

    fewest = ["no experiment takes it"]
    for host in HOSTS:
        fewest = fewest and min(pasted(component, host, table), fewest, key=len)

    assert table["use"] == component.name
    assert fewest == []


@pytest.mark.parametrize("name", [name for name in COMPONENTS if name.startswith("experiment/")])
def test_the_snippet_of_an_experiment_is_a_whole_spec_file(name: str) -> None:
    assert problems(tomllib.loads(snippet(name))) == []


def test_parts_that_are_made_of_others_come_last() -> None:
    """A dataset or a tokenizer around another one is chosen only where no plain one fits."""
    values = tomllib.loads(snippet("experiment/two-stage"))

    assert (values["dataset"], values["tokenizer"]) == ({"use": "digits"}, {"use": "conv"})


@pytest.mark.parametrize("name", ["two-stage", "drafting", "compression"])
def test_the_snippet_of_an_experiment_runs(name: str, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(snippet(f"experiment/{name}"))
    (point,) = load(tmp_path / "small.toml", REGISTRY).points

    result = execute(point.plan, tmp_path / "runs")

    assert result["numbers"]


@pytest.mark.parametrize("key", [key.name for key in KEYS if not key.commands])
def test_the_snippet_of_a_key_can_be_pasted_into_the_quickstart(key: str, tmp_path: Path) -> None:
    base = (ROOT / "specs" / "quickstart.toml").read_text().partition("[sweep]")[0]
    (tmp_path / "quickstart.toml").write_text(base)
    head = "" if key == "extends" else 'extends = "quickstart.toml"\n'
    (tmp_path / "spec.toml").write_text(head + BY_NAME[key].snippet)

    assert load(tmp_path / "spec.toml", REGISTRY).points


def test_the_commands_of_the_reference_work() -> None:
    for line in BY_NAME["set"].snippet.splitlines():
        words = shlex.split(line.replace("SPEC", str(ROOT / "specs/smoke.toml")))
        ended = CliRunner().invoke(main, words[1:])

        assert (words[0], ended.exit_code) == ("crt", 0), ended.output


def test_every_field_of_every_component_has_a_type_in_words() -> None:
    for plugin, component in REGISTRY:
        for field in component_shown(REGISTRY, plugin, component)["fields"]:
            assert not field["type"].startswith(("<", "typing", "crtcore", "Literal")), (component.name, field)
