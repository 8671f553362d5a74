"""`crt new-plugin` writes a whole package whose component keeps its laws, and refuses what it cannot write."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from crt_laws import Broken, Law, NotApplicable, benches
from crt_laws.scaffold.command import new_plugin
from crt_laws.scaffold.kinds import TEMPLATES
from crt_laws.scaffold.render import written
from crtcore.errors import RunError, SpecError
from crtcore.hooks import Component
from crtcore.kinds import KINDS
from crtcore.spec import Spec

QUICK = ("bottleneck", "executor", "metric", "regularizer")
"""Kinds whose laws take a few seconds together."""


def component(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Component:
    """The component of a package that is written now."""
    name = f"crt-written-{kind}"
    written(name, kind, folder)
    monkeypatch.syspath_prepend(str(folder / name))
    (made,) = importlib.import_module(f"crt_written_{kind}.plugin").crt_components()
    assert isinstance(made, Component)
    return made


def broken(spec: Spec, law: Law) -> str | None:
    """Why a law does not hold; None if it holds or does not apply."""
    try:
        law.attempt(benches()[spec.kind].subject_of(law, spec))
    except NotApplicable:
        return None
    except Broken as error:
        return f"{law.name}: {error}"
    return None


def test_there_is_a_template_for_each_kind() -> None:
    assert set(TEMPLATES) == set(KINDS)


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in TEMPLATES]
)
def test_what_is_written_keeps_the_laws_of_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    made = component(kind, tmp_path, monkeypatch)
    (spec,) = made.examples

    assert (made.kind, made.name) == (kind, f"written-{kind}")
    assert list(filter(None, (broken(spec, law) for law in benches()[kind].laws))) == []


def test_a_package_is_whole(tmp_path: Path) -> None:
    files = written("crt-two-words", "dataset", tmp_path)

    places = {str(path.relative_to(tmp_path / "crt-two-words")) for path in files}
    assert places == {
        ".github/workflows/tests.yml", ".gitignore", "README.md", "pyproject.toml", "crt_two_words/__init__.py",
        "crt_two_words/component.py", "crt_two_words/plugin.py", "crt_two_words/py.typed", "crt_two_words/specs.py",
        "tests/test_component.py", "tests/test_laws.py",
    }  # fmt: skip
    project = tomllib.loads((tmp_path / "crt-two-words" / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["crtcore"] == {"two-words": "crt_two_words.plugin"}
    assert "class TwoWords(DatasetSpec)" in (tmp_path / "crt-two-words" / "crt_two_words" / "specs.py").read_text()
    assert "${{ matrix.python }}" in (tmp_path / "crt-two-words" / ".github" / "workflows" / "tests.yml").read_text()


def test_an_existing_folder_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "crt-mine").mkdir()

    with pytest.raises(RunError, match="expected no such folder, got one"):
        written("crt-mine", "metric", tmp_path)

    assert list((tmp_path / "crt-mine").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine", "expected a name such as crt-my-metric"),
        ("crt-Mine", "expected a name such as crt-my-metric"),
        ("crt-../mine", "expected a name such as crt-my-metric"),
        (f"crt-{'a' * 31}", "up to 30 small letters"),
        ("crt-laws", "a package 'crt_laws' is installed"),
        ("crt-none", "whose class would be called 'None'"),
        ("crt-metric", "whose class would be called 'Metric'"),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        written(name, "metric", tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_kind_that_is_none_is_refused_with_the_nearest(tmp_path: Path) -> None:
    result = CliRunner().invoke(new_plugin, ["crt-mine", "--kind", "metrik", "--into", str(tmp_path)])

    assert result.exit_code == 2
    assert "no kind is called 'metrik'; did you mean 'metric'?" in result.stderr


def test_the_command_lists_its_files_and_what_comes_next(tmp_path: Path) -> None:
    result = CliRunner().invoke(new_plugin, ["crt-mine", "--kind", "metric", "--into", str(tmp_path), "--json"])
    shown = CliRunner().invoke(new_plugin, ["crt-other", "--kind", "metric", "--into", str(tmp_path)])

    answer = json.loads(result.stdout)
    assert (answer["name"], answer["kind"]) == ("crt-mine", "metric")
    assert all(Path(path).is_file() for path in answer["files"])
    assert str(tmp_path / "crt-other" / "README.md") in shown.stdout
    assert f"next: cd {tmp_path / 'crt-other'}" in shown.stderr
    assert "choose a licence" in shown.stderr


def test_it_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from click.testing import CliRunner; "
        "from crt_laws.plugin import crt_commands; _, command = crt_commands(); "
        "sys.exit(CliRunner().invoke(command, ['crt-mine', '--kind', 'prior', '--into', sys.argv[1]]).exit_code)"
    )

    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0
    assert (tmp_path / "crt-mine" / "crt_mine" / "component.py").is_file()


def test_a_written_package_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import crtcore

    written("crt-installed", "executor", tmp_path)
    about = tmp_path / "crt-installed" / "crt_installed-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: crt-installed\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text("[crtcore]\ninstalled = crt_installed.plugin\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "crt-installed"), *sys.path])

    assert crtcore.discover().find("executor", "installed").spec.__name__ == "Installed"
