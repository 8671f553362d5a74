"""Spec files that are mutated or hostile: read and written again the same, or refused with where and what."""

from __future__ import annotations

import os
import random
import resource
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from click.testing import CliRunner

from crt_cli.commands import main
from crtcore.compose.document import LARGEST, parse
from crtcore.compose.plan import load, study
from crtcore.errors import LONGEST, PROBLEMS, Problem, SpecError
from crtcore.registry import Registry, discover

sys.path.append(str(Path(__file__).parent))
from mutations import MUTATIONS

SPECS = Path(__file__).parents[2] / "specs"
SECONDS, MEBIBYTES = 3.0, 200
"""What a spec may take: of the processor (5,000 metrics take 0.4 s), and of memory beyond what was taken before."""


def problems_of(problems: tuple[Problem, ...]) -> tuple[str, str]:
    """Whether problems are few, short lines with where and what."""
    lines = [str(problem) for problem in problems]
    what = all(problem.message and problem.message != "None" for problem in problems)
    where = all(problem.where or "the file" in problem.message for problem in problems[:PROBLEMS])
    short = all(len(line) <= 3 * LONGEST + 4 and line.isprintable() for line in lines)
    fits = lines and len(lines) <= PROBLEMS + 1 and what and where and short
    return ("refused", "") if fits else ("message", repr(lines)[:500])


def read(path: Path, registry: Registry, overrides: tuple[str, ...] = ()) -> tuple[str, str]:
    """How reading a spec ended, and what was wrong."""
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        points = load(path, registry, overrides).points
        problems: tuple[Problem, ...] = ()
    except SpecError as error:
        points, problems = (), error.problems
    except Exception as error:
        return "traceback", repr(error)[:500]
    took = time.process_time() - began
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if took > SECONDS or more > MEBIBYTES:
        return "slow", f"{took:.2f} s, {more:.0f} MiB"
    if not points:
        return problems_of(problems)
    for point in (points[0], points[-1]):
        written = dict(point.plan.document)
        again = study(parse(tomli_w.dumps(written), "again"), registry)
        if again.points[0].plan.hash != point.plan.hash:
            return "silent", f"another hash when written and read again: {point.label}"
    return "unharmed", ""


def command(path: Path, *words: str) -> tuple[int, str]:
    """Status of `crt check`, and what was not as it should be."""
    ended = CliRunner().invoke(main, ["check", str(path), *words])
    bad = ended.exception if not isinstance(ended.exception, SystemExit | None) else ""
    return ended.exit_code, f"{bad!r}" if bad else ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the committed specs."""
    return Path(shutil.copytree(SPECS, tmp_path_factory.mktemp("faults") / "specs"))


def test_a_mutated_spec_is_read_or_refused_with_where_and_what(
    faults: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    registry = discover()
    texts = {path: path.read_text() for path in sorted(folder.rglob("*.toml"))}
    weights = [1 / (10 + len(load(path, registry).points)) for path in texts]  # those of many points take long
    for case in faults.cases(reduced=600, full=100_000):
        (source,) = case.random.choices(list(texts), weights)
        mutate = case.random.choice(MUTATIONS)
        path = source.with_name("mutated.toml")
        path.write_bytes(mutate(texts[source], case.random))
        outcome, about = read(path, registry)
        if outcome in ("refused", "unharmed") and case.number % 50 == 0:
            status, bad = command(path, *(["--json"] if case.number % 100 else []))
            if bad or status != (0 if outcome == "unharmed" else 2):
                outcome, about = "traceback", f"the command: status {status} {bad}"
        faults.record(case, outcome, f"{source.relative_to(folder)} {mutate.__name__}: {about}")
        path.unlink()

    assert not faults.wrong


PLACES = {
    "name": ('name = "smoke"', "name = {}"),
    "seed": ("seed = 0", "seed = {}"),
    "key": ("seed = 0", "seed = 0\n{} = 1"),
    "use": ('[bottleneck]\nuse = "vq"', "[bottleneck]\nuse = {}"),
    "table": ("seed = 0", "seed = 0\nsampling = {}"),
    "axis": ("seed = 0", "seed = 0\nsweep.seed = {}"),
    "arm": ("seed = 0", "seed = 0\nsweep.arms.baseline.seed = {}"),
    "base": ("seed = 0", "seed = 0\nextends = {}"),
}
VALUES = [
    "", "nan", "-inf", "1e400", "9223372036854775808", "9" * 5000, "0x" + "f" * 5000, "true", "''", "'\u202e'",
    "'ｖｑ'", '"\\u0000"', '"\\u001b[2J"', '"\\n"', f"'{'x' * 100_000}'", "[" * 50_000, "[" * 45 + "]" * 45,
    "{a = " * 60 + "1" + "}" * 60, f"[{'1,' * 50_000}]", f"[{'{},' * 20_000}]", f"[{'[],' * 20_000}]", "1979-05-27",
    "'../../../../etc/hostname'", "'.'", "'hostile.toml'", "'/dev/zero'",
]  # fmt: skip


def axes(count: int, values: int) -> str:
    return "\n[sweep]\n" + "".join(f"k{n} = [{', '.join(map(str, range(values)))}]\n" for n in range(count))


def whole(smoke: str) -> list[bytes]:
    """Hostile files that are no value in a place."""
    many = 20_000
    texts = [
        "", "\n" * many, "#" * (LARGEST + 1), "\ufeff" + smoke, smoke.replace("\n", "\r"), smoke.replace("\n",
        "\r\n"), "\0",
        "=" * many, "[" * many, "a." * many + "a = 1", "[" + "a." * many + "a]", "[[a]]\n" * many, '"' * many,
        "'''" + "x" * many,
        "".join(f"k{n} = 1\n" for n in range(many)) + smoke, smoke + "".join(f"k{n} = 1\n" for n in range(many)),
        "".join(f"[t{n}]\n" for n in range(many)), smoke + "[[metric]]\nuse = 'code-length'\n" * 5000,
        smoke + "[[metric]]\nuse = 'code-lengt'\n" * 5000, smoke + "[[metric]]\n" * many, smoke + axes(3, 1000),
        smoke + axes(9000, 2), smoke + axes(9000, 1), smoke + axes(1, 30_000), smoke + "[sweep.arms]\n" * 2,
        smoke + "".join(f"[sweep.arms.a{n}]\n" for n in range(9000)), smoke + "[sweep]\n'" + "a." * 1900 + "a' = [1]\n",
        smoke + "[sweep.arms.baseline]\n" + "".join(f"x.k{n} = 1\n" for n in range(15_000)),
        smoke + "[sweep]\nseed = [0]\n" + "[[sweep.claim]]\nnumber = 'x'\narm = 'basel'\n" * 4000,
        smoke + "[sweep]\n'metric.0' = [1]\n'metric.99999999999' = [1]\n'metric.-1' = [1]\n'..' = [1]\n'' = [1]\n",
        smoke + "[sweep]\nsweep = [1]\nextends = [1]\nname = ['x']\nexecutor = [1]\n",
        smoke + "[sweep]\n" + "".join(f"'seed{'.a' * n}' = [1]\n" for n in range(60)),
    ]  # fmt: skip
    raw = smoke.encode()
    return [*(text.encode() for text in texts), b"\xff" + raw, raw + b"\xed\xa0\x80", random.Random(0).randbytes(4096)]


def hostile() -> list[tuple[str, bytes]]:
    """About 250 files, by name."""
    smoke = (SPECS / "smoke.toml").read_text().replace('"smoke"', '"smoke"\nseed = 0', 1)
    for old, _ in PLACES.values():
        assert old in smoke
    made = [
        (f"{place} {text[:30]!r}", smoke.replace(old, new.replace("{}", text), 1).encode())
        for place, (old, new) in PLACES.items()
        for text in VALUES
    ]
    return [*made, *((f"file {number}", raw) for number, raw in enumerate(whole(smoke)))]


def test_a_hostile_spec_is_refused_with_where_and_what(faults: Any, folder: Path) -> None:
    registry, path = discover(), folder / "hostile.toml"
    files = hostile()
    for case in faults.cases(reduced=len(files), full=len(files)):
        name, raw = files[case.number]
        path.write_bytes(raw)
        outcome, about = read(path, registry)
        if outcome in ("refused", "unharmed") and case.number % 4 == 0:
            status, bad = command(path, "--json")
            if bad or status != (0 if outcome == "unharmed" else 2):
                outcome, about = "traceback", f"the command: status {status} {bad}"
        faults.record(case, outcome, f"{name}: {about}")

    assert not faults.wrong


SETS = [
    "", "=", "x", "=1", ".=1", "a..b=1", "seed=" + "[" * 50_000, "seed=" + "9" * 9999, "a." * 30_000 + "a=1",
    "x" * 90_000,
    "seed=nan", "extends=x", "sweep.seed=[0,1]", "sweep=1", "sweep.seed=[" + "1," * 30_000 + "]", "seed=\x1b[2J",
    "seed.x=1",
    "metric.7=1", "metric.x=1", "metric.0.use=1", "\udcff=1", "seed=\udcff", "name=\udcff", "'seed'=1",
    "seed=1\nname='x'",
]  # fmt: skip


@pytest.mark.parametrize("text", SETS, ids=range(len(SETS)))
def test_a_hostile_override_is_refused_with_where_and_what(text: str) -> None:
    assert read(SPECS / "smoke.toml", discover(), (text,))[0] in ("refused", "unharmed")
    assert command(SPECS / "smoke.toml", "--set", text)[1] == ""


@pytest.mark.parametrize("sort", ["pipe", "socket", "folder", "/dev/zero", "/dev/null", "loop", "gone", "x" * 5000])
def test_what_is_no_file_is_refused(sort: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(sort)
    if sort == "pipe":
        os.mkfifo(path)
    elif sort == "folder":
        path.mkdir()
    elif sort == "loop":
        path.symlink_to(path)
    with socket.socket(socket.AF_UNIX) as server:
        if sort == "socket":
            server.bind(sort)

        assert read(path, discover()) == ("refused", "")
        assert command(path) == (2, "")
