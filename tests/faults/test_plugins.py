"""Whatever a plugin does while it loads or answers, every command answers, names the plugin and leaves it out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest

from crt_cli import guard
from crtcore.compose.plan import load
from crtcore.errors import SpecError
from crtcore.registry import discover

sys.path.append(str(Path(__file__).parent))
from broken_methods import METHODS
from broken_plugins import ENTRY, HEAD, HOOK, KINDS, METADATA, SPEC, Kind

CRT = "import crt_cli.guard; crt_cli.guard.LIMIT = {limit}; from crt_cli.__main__ import main; main()"
SAMPLE = """\
name = "sample"
[experiment]
use = "{experiment}"
[dataset]
use = "{dataset}"
[tokenizer]
use = "{tokenizer}"
[bottleneck]
use = "{bottleneck}"
{more}
[prior]
use = "{prior}"
[decoder]
use = "{decoder}"
[training.tokenizer]
steps = 20
[training.prior]
steps = 30
"""
PARTS = {
    "experiment": "two-stage", "dataset": "digits", "tokenizer": "conv", "bottleneck": "vq", "prior": "table",
    "decoder": "ancestral", "more": "codes = 4",
}  # fmt: skip
COMMANDS = {
    "list": ["list", "--json"],
    "schema": ["schema", "--json"],
    "check": ["check", "sample.toml", "--json"],
    "show": ["show", "vq", "--json"],
    "run": ["run", "gone.toml", "--json"],
    "help": ["--help"],
    "bare": [],
    "own": ["show", "unlucky", "--json"],
    "use": ["check", "own.toml", "--json"],
    "laws": ["laws", "bottleneck/vq", "--law", "its-implementation-is-callable", "--json"],
}
ABOUT = {
    **{name: COMMANDS[name] for name in ("list", "schema", "check", "own", "use")},
    "text": ["check", "own.toml"],
    "cost": ["cost", "own.toml", "--json"],
}
"""Commands where a method of a component fails."""
OWN = ("own", "use", "text", "cost")
"""Commands about the component that is broken, which may also fail with a message."""
PLAIN = ("help", "bare", "text")
"""Commands whose answer is no JSON."""
RIGHT = ("refused", "unharmed")
FEW = ("list", "schema", "check")
"""Commands that are tried on a few kinds."""

Ended = subprocess.CompletedProcess[str]


def install(site: Path, module: str, text: str | bytes, metadata: Any, entry: Any, folder: str) -> None:
    """Writes a plugin as pip would: its module, and the folder with its metadata and entry points."""
    (site / f"{module}.py").write_bytes(text if isinstance(text, bytes) else text.encode())
    (site / folder).mkdir()
    for name, content in (("METADATA", metadata), ("entry_points.txt", entry)):
        if content is not None:
            (site / folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture(scope="session")
def neighbour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound plugin."""
    site = tmp_path_factory.mktemp("neighbour")
    text = HEAD + SPEC + HOOK.replace("unlucky", "lucky")
    install(
        site,
        "lucky",
        text,
        METADATA.replace("unlucky", "lucky"),
        "[crtcore]\nlucky = lucky\n",
        "lucky_plugin-3.1.dist-info",
    )
    return site


def crt(words: list[str], *sites: Path, cwd: Path, limit: float = 1.0) -> Ended:
    """The command with the plugins in `sites`; status 124 if it takes a minute."""
    path = [*map(str, sites), *filter(None, [os.environ.get("PYTHONPATH")])]
    started = subprocess.Popen(
        [sys.executable, "-c", CRT.format(limit=limit), *words], cwd=cwd, text=True, errors="replace",
        stdout=(cwd / "out").open("w"), stderr=(cwd / "err").open("w"), stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
    )  # fmt: skip
    try:
        status = started.wait(60)
    except subprocess.TimeoutExpired:
        started.kill()
        status = 124
    out, err = ((cwd / name).read_text(errors="replace") for name in ("out", "err"))
    return subprocess.CompletedProcess(words, status, out, err)


@pytest.fixture(scope="session")
def sound(neighbour: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """What each command answers without a broken plugin."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "sample.toml").write_text(SAMPLE.format(**PARTS))
    return {name: crt(words, neighbour, cwd=folder) for name, words in COMMANDS.items()}


def ending(kind: Kind, command: str, ended: Ended, sound: Ended) -> tuple[str, str]:
    """How a command ended, in a word and in detail."""
    naming = "help" if command == "bare" else command
    detail = f"status {ended.returncode}, {ended.stdout[-200:]!r}, {ended.stderr[-300:]!r}"
    answer, outcome = None, "refused" if naming in kind.named else "unharmed"
    if command not in PLAIN:
        try:
            answer = json.loads(ended.stdout)
        except ValueError:
            outcome = "no document"
    if ended.returncode == 124:
        outcome = "hangs"
    elif "Traceback" in ended.stderr:
        outcome = "traceback"
    elif naming in kind.named and (kind.source not in ended.stderr or "unlucky" not in ended.stderr):
        outcome = "silent"
    elif ended.returncode not in ((0, 1, 2) if command in OWN else (sound.returncode,)):
        outcome = "another status"
    elif outcome in RIGHT and command not in OWN and not kept(kind, command, answer, ended, sound):
        outcome = "lost"
    return outcome, detail


def kept(kind: Kind, command: str, answer: Any, ended: Ended, sound: Ended) -> bool:
    """Whether everything that others bring is still in the answer."""
    if command in ("help", "bare"):
        return kind.gone == ("kernels",) or set(sound.stdout.splitlines()) <= set(ended.stdout.splitlines())
    before = json.loads(sound.stdout)
    if command == "list":
        rows = {(row["kind"], row["name"]) for row in before["components"] if row["name"] not in kind.gone}
        return rows <= {(row["kind"], row["name"]) for row in answer["components"]}
    if command == "schema":
        gone = {"FSQ"} if "fsq" in kind.gone else set()
        return set(before["definitions"]) - gone - {"lucky.Mine", "Mine"} <= set(answer["definitions"])
    return bool(answer == before)


def laid(kind: Kind, folder: Path) -> None:
    """Installs a broken plugin below a folder, and writes a spec file without its component, and one with it."""
    (folder / "site").mkdir(parents=True)
    (folder / "sample.toml").write_text(SAMPLE.format(**PARTS))
    own = {kind.table: "unlucky", **({"more": kind.keys} if kind.table == "bottleneck" else {})}
    (folder / "own.toml").write_text(SAMPLE.format(**{**PARTS, **own}))
    install(folder / "site", "unlucky_plugin", kind.text, kind.metadata, kind.entry, "unlucky_plugin-3.1.dist-info")


def test_every_command_answers_whatever_a_plugin_does(
    faults: Any, sound: dict[str, Ended], neighbour: Path, tmp_path: Path
) -> None:
    names = FEW if faults.wanted == "reduced" else tuple(COMMANDS)
    for case in faults.cases(reduced=12, full=len(KINDS)):
        kind, folder = KINDS[case.number], tmp_path / str(case.number)
        laid(kind, folder)
        if kind.twin:
            install(
                folder / "site", "unlucky_plugin", kind.text, METADATA.replace("3.1", kind.twin), ENTRY,
                f"unlucky_plugin-{kind.twin}.dist-info",
            )  # fmt: skip
        for name in names:
            ended = crt(COMMANDS[name], folder / "site", neighbour, cwd=folder)
            outcome, detail = ending(kind, name, ended, sound[name])
            faults.record(case, outcome, f"{kind.name}: {name}: {detail}")
    assert not faults.wrong, "\n".join(faults.wrong)


def test_a_component_whose_methods_fail_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LIMIT", 0.2)
    monkeypatch.syspath_prepend(tmp_path)
    others = list(entry_points(group="crtcore"))
    for number, kind in enumerate(METHODS):
        laid(kind, tmp_path / str(number))
        (tmp_path / f"unlucky_{number}.py").write_text(str(kind.text))
        try:
            with guard.installed():
                registry = discover([*others, EntryPoint("unlucky", f"unlucky_{number}", "crtcore")])
                load(tmp_path / str(number) / "own.toml", registry)
            lines = []
        except SpecError as error:
            lines = str(error).splitlines()
        if "use" in kind.named:
            assert len(lines) == 1, (kind.name, lines)
            assert f"{kind.table} 'unlucky' of plugin 'unlucky' cannot be " in lines[0], (kind.name, lines)


def test_every_command_about_a_component_answers_whatever_its_methods_do(
    faults: Any, sound: dict[str, Ended], neighbour: Path, tmp_path: Path
) -> None:
    names = ("text",) if faults.wanted == "reduced" else tuple(ABOUT)
    for case in faults.cases(reduced=3, full=len(METHODS)):
        kind, folder = METHODS[case.number], tmp_path / str(case.number)
        laid(kind, folder)
        for name in names:
            ended = crt(ABOUT[name], folder / "site", neighbour, cwd=folder)
            outcome, detail = ending(kind, name, ended, sound.get(name, ended))
            if outcome == "refused" and sum("unlucky" in line for line in ended.stderr.splitlines()) != 1:
                outcome = "several lines"
            faults.record(case, outcome, f"{kind.name}: {name}: {detail}")
    assert not faults.wrong, "\n".join(faults.wrong)


@pytest.mark.parametrize("damage", ["metadata: a line without value", "metadata: entry points not UTF-8"])
def test_a_run_ends_beside_a_package_whose_entry_points_cannot_be_read(
    damage: str, neighbour: Path, tmp_path: Path
) -> None:
    laid(next(each for each in KINDS if each.name == damage), tmp_path)
    (tmp_path / "sample.toml").write_text(SAMPLE.format(**PARTS))

    ended = crt(["run", "sample.toml", "--json"], tmp_path / "site", neighbour, cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith("warning: the entry points of unlucky-plugin 3.1 could not be read")
    assert json.loads(ended.stdout)["name"] == "sample"


def planted(folder: Path, text: str) -> Path:
    (folder / "site").mkdir()
    install(folder / "site", "unlucky_plugin", HEAD + text, METADATA, ENTRY, "unlucky_plugin-3.1.dist-info")
    return folder / "site"


def test_a_plugin_that_catches_all_that_is_raised_at_the_limit_ends_the_command_by_its_name(tmp_path: Path) -> None:
    site = planted(tmp_path, "while True:\n    try: time.sleep(60)\n    except BaseException: pass")

    ended = crt(["list", "--json"], site, cwd=tmp_path, limit=0.3)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "plugin 'unlucky' gives no answer in 0.3 s and cannot be stopped\n"


@pytest.mark.parametrize("catch", ["", "\nexcept BaseException: pass"])
def test_ctrl_c_while_a_plugin_loads_ends_the_command(tmp_path: Path, catch: str) -> None:
    wait = "open('ready', 'w').close(); time.sleep(30)"
    site = planted(tmp_path, f"try: {wait}{catch}" if catch else wait)
    started = subprocess.Popen(
        [sys.executable, "-m", "crt_cli", "list"], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": f"{site}:{os.environ.get('PYTHONPATH', '')}"},
    )  # fmt: skip
    while not (tmp_path / "ready").exists():
        assert started.poll() is None
        time.sleep(0.01)

    started.send_signal(signal.SIGINT)

    out, err = started.communicate(timeout=20)
    assert (started.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert "could not be loaded" not in err
