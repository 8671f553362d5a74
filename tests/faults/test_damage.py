"""Damaged files of runs, stages and sweeps: a command refuses them with one message, or prints what it would have.

Each case damages one file or folder in a copy of the same folder of runs, and gives one command in this process.
"""

from __future__ import annotations

import json
import random
import re
import runpy
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from crt_cli.commands import main
from crt_laws.toy_studies import Inline
from crt_run.executors.spec import Local
from crt_run.runs.contents import of_plan
from crt_run.runs.execute import execute
from crt_run.sweeps import sweep
from crtcore.compose.plan import load
from crtcore.errors import Stopped
from crtcore.registry import discover

DAMAGES = runpy.run_path(str(Path(__file__).with_name("damages.py")))["DAMAGES"]
SMOKE = Path(__file__).parents[2] / "specs" / "smoke.toml"
TEXT = """\
name = "{name}"
extends = "{smoke}"
[experiment]
use = "two-stage"
evaluations = 2
[dataset]
test = 60
[training.tokenizer]
steps = 6
batch = 8
checkpoint = 2
[training.prior]
steps = 4
batch = 8
checkpoint = 2
[training.draft]
steps = 2
batch = 8
"""
MORE = {"swept": "[sweep]\nseed = [0, 1]\n", "single": "", "stopped": ""}
"""What the specs have besides: two points, a finished run, and one that was stopped half-way."""
SEEDS = {"swept": 0, "single": 5, "stopped": 7}


class Outcome(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    errors: str
    raised: BaseException | None


class Place:
    """A folder of runs, its copies, and what commands print when nothing is damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.kept = folder / "kept"
        self.specs = {name: folder / f"{name}.toml" for name in MORE}
        for name, path in self.specs.items():
            path.write_text(f"seed = {SEEDS[name]}\n" + TEXT.format(name=name, smoke=SMOKE) + MORE[name])
        self.expected: dict[tuple[str, ...], Outcome] = {}

    def make(self) -> None:
        """Runs the studies, the last one half-way, and notes what each command prints."""
        for name in ("swept", "single"):
            ended = self.give("run", name)
            assert ended.status == 0, ended
        (point,) = load(self.specs["stopped"], discover()).points
        looks = iter(range(9))
        with pytest.raises(Stopped):
            execute(of_plan(point.plan, self.runs), self.runs, stopping=lambda: next(looks, None) is None)
        assert list(self.runs.glob("stages/prior/*/step-*"))
        shutil.copytree(self.runs, self.kept)
        for words in COMMANDS:
            self.renew()
            self.expected[words] = ended = self.give(*words)
            assert (ended.status, ended.raised) == (0, None), ended

    def renew(self) -> None:
        """Puts everything back as it was."""
        shutil.rmtree(self.runs)
        shutil.copytree(self.kept, self.runs)

    def give(self, command: str, name: str, *options: str) -> Outcome:
        """Gives a command; `redo` is a run whose results were deleted, so that it opens its stages."""
        if command == "redo":
            for path in self.runs.glob(f"{name}/*/result.json"):
                if path.is_file():
                    path.unlink()
        if command == "report":
            (first, *_) = sorted(path for path in self.kept.glob(f"{name}/*") if path.is_dir())[::-1]
            words = ["report", str(self.runs / first.relative_to(self.kept))]
        elif command == "check":
            words = ["check", str(self.specs[name])]
        else:
            words = ["run", str(self.specs[name]), "--runs", str(self.runs)]
        ended = CliRunner().invoke(main, [*words, *options])
        raised = None if isinstance(ended.exception, SystemExit) else ended.exception
        return Outcome(ended.exit_code, ended.stdout, ended.stderr, raised)


COMMANDS = [
    *((command, name, *options)
      for command, names in (("run", ("swept", "single", "stopped")), ("redo", ("swept", "single")),
                             ("report", ("swept", "single")), ("check", ("single",)))
      for name in names for options in ((), ("--json",)))
]  # fmt: skip
CONCERNS = {"swept": ("run", "redo", "report"), "single": ("run", "redo", "report"), "stopped": ("run",)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The folder of runs; work stays in this process, without rehearsals, and figures are not drawn in full."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Local, "build", lambda self: Inline())
        patch.setattr(sweep, "rehearse", lambda *_: {})
        patch.setattr(Figure, "savefig", lambda self, file, **_: file.write(b"\x89PNG"))
        folder = tmp_path_factory.mktemp("damage")
        patch.chdir(folder)  # out of a repository, whose state results name
        made = Place(folder)
        made.make()
        yield made
    signal.signal(signal.SIGTERM, before)


def judged(expected: Outcome, ended: Outcome, words: tuple[str, ...], place: Place) -> tuple[str, str]:
    """The word for how a case ended, and the reason."""
    equal = re.search(r"expected (\S+?)[,;]* got (\S+?)[,;]*(?: |$)", ended.errors)
    advised = str(place.runs) in ended.errors and re.search(r"again|away|another folder", ended.errors)
    faults = {
        "traceback": ended.raised is not None or "Traceback" in ended.errors,
        "silent": silent(expected, ended, as_json=words[-1] == "--json"),
        "another status": ended.status not in (0, 1) and ended.status,
        "no advice": ended.status and not advised and ended.errors,
        "looks equal": equal and equal[1] == equal[2] and ended.errors,
    }
    wrong = [(outcome, f"{reason} {ended.raised or ''}") for outcome, reason in faults.items() if reason]
    return wrong[0] if wrong else ("refused" if ended.status else "unharmed", "")


def silent(expected: Outcome, ended: Outcome, *, as_json: bool) -> str:
    """What a command printed that is not as it should be."""
    if ended.raised is not None or not as_json:
        return unlike_text(ended, expected)
    try:
        return unlike(json.loads(ended.out), json.loads(expected.out), ended.status)
    except ValueError:
        return f"no document: {ended.out[:200]}"


def unlike(document: Mapping[str, Any], expected: Mapping[str, Any], status: int) -> str:
    """What a JSON document says that is not as expected; nothing if it is an error and says no more."""
    left_out = ("report", "command", "error", "times")
    if status and set(document) == {"error"}:
        return ""
    if status and "runs" in document:  # a sweep that lacks points: what it does show must be right
        pairs = zip(document["runs"], expected["runs"], strict=True)
        return next((f"shown: {mine}" for mine, theirs in pairs if mine["result"] not in (None, theirs["result"])), "")
    mine, theirs = ({key: value for key, value in each.items() if key not in left_out} for each in (document, expected))
    return "" if mine == theirs else f"shown: {[key for key in theirs if mine.get(key) != theirs[key]]}"


def unlike_text(ended: Outcome, expected: Outcome) -> str:
    """The first line that is not as expected; a command that failed may print less."""
    mine, theirs = (
        [line for line in each.out.splitlines() if not line.startswith("report: ")] for each in (ended, expected)
    )
    if ended.status:
        return ""  # other means over fewer points; the documents are compared value by value
    return next((f"{a!r} for {b!r}" for a, b in zip([*mine, ""], [*theirs, ""], strict=False) if a != b), "")


def chosen(place: Place, rng: random.Random) -> tuple[Path, tuple[str, ...]]:
    """A file or folder of the runs, and a command that might read it."""
    paths = sorted(path for path in place.kept.rglob("*"))
    files = [path for path in paths if path.suffix not in (".png", ".lock")]
    path = rng.choice(files if rng.random() < 0.9 else paths).relative_to(place.kept)
    first = path.parts[0]
    if first in CONCERNS and rng.random() < 0.8:
        commands = [words for words in COMMANDS if words[1] == first and words[0] in CONCERNS[first]]
    elif first == "stages":
        commands = [words for words in COMMANDS if words[0] == "redo" or words[1] == "stopped"]
    else:
        commands = COMMANDS
    return path, rng.choice(commands)


def follow(place: Place, words: tuple[str, ...], ended: Outcome) -> str:
    """Does what a message advises and gives the command again; returns what is wrong after that."""
    for _ in range(6):
        advised = re.search(r"(?:move|delete) (?:the folder )?(/\S+?)(?: |;|,|$)", ended.errors)
        if not advised:
            return ""
        path = Path(advised[1])
        assert place.folder in path.parents, path
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        ended = place.give(*words)
        if ended.status == 0:
            return unlike_text(ended, place.expected[words]) if words[-1] != "--json" else ""
    return f"still refused: {ended.errors}"


def test_a_damaged_file_is_refused_or_changes_nothing(place: Place, faults: Any) -> None:
    for case in faults.cases(reduced=20, full=2000):
        rng = case.random
        path, words = chosen(place, rng)
        place.renew()
        what = rng.choice(DAMAGES)(place.runs / path, rng)
        ended = place.give(*words)
        outcome, reason = judged(place.expected[words], ended, words, place)
        if outcome == "refused" and words[0] in ("run", "redo") and rng.random() < 0.25:
            wrong = follow(place, words, ended)
            outcome, reason = ("advice does not help", wrong) if wrong else (outcome, reason)
        faults.record(case, outcome, f"{path} {what}, then {' '.join(words)}: {reason}")
    assert not faults.wrong, "\n".join(faults.wrong)


@pytest.mark.parametrize("name", ["result.json", "run.json"])
@pytest.mark.parametrize("command", ["run", "report"])
def test_one_damaged_point_is_a_problem_and_the_other_is_shown(place: Place, name: str, command: str) -> None:
    place.renew()
    path = sorted(path for path in place.runs.glob(f"swept/*/{name}") if not path.parent.name.startswith("sweep"))[0]
    path.write_bytes(path.read_bytes().replace(b'"seed": ', b'"seed": 1'))

    ended = place.give(command, "swept", "--json")

    document = json.loads(ended.out)
    whole = json.loads(place.expected[command, "swept", "--json"].out)
    assert ended.status == 1
    assert str(path) in document["error"]
    assert "Traceback" not in ended.errors
    shown = [run["result"] for run in document["runs"] if run["problem"] is None]
    assert len(shown) == (1 if command == "run" else 2)  # a report reads the numbers of the sweep
    assert all(result in [run["result"] for run in whole["runs"]] for result in shown)
