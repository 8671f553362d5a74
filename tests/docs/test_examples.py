"""Every block of code in the documentation is run, or checked where running it would take long or need a network.

* A block that begins with a file name, as `# first.toml`, is that file in a folder of the page's own.
* Python is run, block after block, under the same names.
* TOML is a spec file, or some tables of one, which are laid over the quickstart; it is checked as by `crt check`.
* Lines with `$` of a console are run in the folder of the page, in an environment of its own, and the text below
  is compared with what they print; `...` is any text. A console without `$` is a list of commands that exist.
"""

from __future__ import annotations

import doctest
import itertools
import os
import re
import shlex
import subprocess
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import tomli
from markdown_it import MarkdownIt

from crt_cli.commands import main as crt
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.registry import discover

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("README.md", "CONTRIBUTING.md", "docs/*.md", "docs/how-to/*.md", "docs/reference/*.md")
    for path in ROOT.glob(pattern)
)
INSTALLING = [page for page in PAGES if "/__init__.py\n" in (ROOT / page).read_text(encoding="utf-8")]
SNIPPETS = Path("docs/spec-files.md")
FILE = re.compile(r"# ([\w./-]+\.(?:py|toml))\n")
NOT_RUN = {
    ("README.md", "import crt_hf"): "needs a model of its own; tests of crt-hf generate text",
    ("README.md", "import attrs"): "tests/test_readme.py installs it as a plugin",
    ("docs/many-samples.md", "import torch"): "needs a finished run; tests/test_shard_kills.py and crt-run's draw some",
    ("docs/audit.md", "from crt_verify.audit import audit, replay"): "needs a reader's own model",
    ("docs/audit.md", "from crt_verify.audit.sampled"): "tests/test_audit_docs.py runs it with boxes",
}
"""Python that is compiled and not run, and why."""
TEXT = {"", "text", "json", "floors", "console", "{toctree}", "{laws}", "{eval-rst}"}
SECONDS = 1200


class Block(NamedTuple):
    """A fence of a page."""

    line: int
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fences of a page, in order."""
    tokens = MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8"))
    fences = [token for token in tokens if token.type == "fence"]
    return [Block((token.map or [0])[0] + 1, (token.info.split() or [""])[0], token.content) for token in fences]


def commands(block: Block) -> list[tuple[str, str]]:
    """The lines with `$` of a console, each with the output below it."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def write_files(page: Path, folder: Path) -> None:
    """Writes the blocks that are files."""
    for block in blocks(page):
        if block.language in ("python", "toml") and (named := FILE.match(block.text)):
            path = folder / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_blocks_have_a_known_language(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= {*TEXT, "python", "toml"}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "example"}

    for line, code in _python(page):
        # Padded, so that a traceback has the line of the page.
        exec(compile("\n" * line + code, str(page), "exec"), names)

    _compiles(page)


def _python(page: Path) -> Iterator[tuple[int, str]]:
    for block in blocks(page):
        skipped = any(str(page) == where and block.text.startswith(first) for where, first in NOT_RUN)
        if block.language == "python" and not FILE.match(block.text) and not skipped:
            yield block.line, block.text


def _compiles(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, f"{page}:{block.line}", "exec")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_spec_files_are_valid(page: Path) -> None:
    if page == SNIPPETS:
        pytest.skip("its snippets are parts of spec files, which tests/test_spec_files.py completes and checks")
    if page in INSTALLING:
        pytest.skip("its spec files name components of its own; they are checked where these are installed")
    whole = tomli.loads((ROOT / "specs" / "quickstart.toml").read_text())
    for block in blocks(page):
        if block.language == "toml":
            values = tomli.loads(block.text)
            if "project" not in values:
                laid = values if "experiment" in values else {**whole, **values}
                assert study(Document(laid, {}), discover()).points


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_listed_commands_exist(page: Path) -> None:
    environments = set(re.findall(r"^\[testenv:(.*)\]$", (ROOT / "tox.ini").read_text(), re.MULTILINE))
    for block in blocks(page):
        if block.language in ("", "console") and "$ " not in block.text:
            for line in block.text.splitlines():
                _check_command(shlex.split(line, comments=True), environments)


def _check_command(words: list[str], environments: set[str]) -> None:
    """Fails if a command of ours, an option, a spec file or an environment of tox does not exist."""
    if words[:1] == ["crt"]:
        command = crt.get_command(click.Context(crt), words[1])
        assert command, words
        known = {option for each in command.params for option in each.opts}
        assert {word.partition("=")[0] for word in words[2:] if word.startswith("--")} <= known, words
    for word in words:
        if re.fullmatch(r"(specs|plugins|tests|bench)/\S*", word):
            assert (ROOT / word).exists(), words
    if "tox" in words and "-e" in words:
        named = words[words.index("-e") + 1].split(",")
        plain = {each for name in environments for each in _expanded(name)}
        assert set(named) <= plain, words


def _expanded(name: str) -> Iterator[str]:
    """The names that a section of tox stands for, with one choice of each group in braces."""
    groups = [group.strip("{}").split(",") for group in re.findall(r"{[^}]*}|[^{}]+", name)]
    yield from map("".join, itertools.product(*groups))


@pytest.mark.slow
@pytest.mark.parametrize("page", INSTALLING, ids=str)
def test_packages_of_readers_work(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    write_files(page, folder)
    if not (folder / "pyproject.toml").exists():  # that of docs/how-to/README.md, with a name in place of NAME
        (package,) = (path.parent.name for path in folder.glob("*/__init__.py"))
        write_files(Path("docs/how-to/README.md"), folder)
        text = (folder / "pyproject.toml").read_text()
        (folder / "pyproject.toml").write_text(text.replace("NAME", package.removeprefix("crt_")))
    environment = _environment(tmp_path / "venv")
    lines = [pair for block in blocks(page) if block.language == "console" for pair in commands(block)]
    if not any("pip install" in line for line, _ in lines):
        lines.insert(0, ("python -m pip install -q -e .", ""))

    for line, expected in lines:
        words = shlex.split(line)
        words[:1] = {"crt": ["python", "-m", "crtcore"]}.get(words[0], words[:1])
        assert words[0] == "python", f"{line}: expected a command that tests may run"
        words[0] = str(tmp_path / "venv" / "bin" / "python")
        ran = subprocess.run(
            words, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
        assert ran.returncode == 0, f"{page}: {line}\n{ran.stdout}\n{ran.stderr}"
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        fits = not expected or doctest.OutputChecker().check_output(expected, ran.stdout, flags)
        assert fits, f"{page}: {line}\nexpected:\n{expected}\ngot:\n{ran.stdout}"


def _environment(folder: Path) -> dict[str, str]:
    """A new environment that sees what is installed here; installing into it needs no network."""
    venv.create(folder, with_pip=False)
    here = sysconfig.get_path("purelib")
    inside = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    (inside / "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")

    return {
        **os.environ, "COLUMNS": "100", "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # which means that there is none
    }  # fmt: skip


def test_a_page_that_lies_fails(tmp_path: Path) -> None:
    """The checker of output sees another number, and an unknown option is no command."""
    checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    with pytest.raises(AssertionError):
        _check_command(["crt", "run", "specs/smoke.toml", "--no-such-option"], set())
    with pytest.raises(AssertionError):
        _check_command(["crt", "run", "specs/no-such-file.toml"], set())
    with pytest.raises(AssertionError):
        _check_command(["tox", "run", "-e", "no-such-environment"], set())
    assert not checker.check_output("codes ... 81\n", "codes used 80\n", flags)
    assert commands(Block(1, "console", "$ one\nout\n$ two\n")) == [("one", "out\n"), ("two", "")]
