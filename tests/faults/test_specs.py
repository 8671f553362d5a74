"""Spec files that are mutated or hostile: read and written again the same, or refused with where and what."""

from __future__ import annotations

import datetime
import math
import os
import random
import resource
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli
import tomli_w
from click.testing import CliRunner

from crtcore.cli import main
from crtcore.compose.document import LARGEST, parse
from crtcore.compose.plan import load, study
from crtcore.errors import LONGEST, PROBLEMS, Problem, SpecError
from crtcore.registry import Registry, discover

SPECS = Path(__file__).parents[2] / "specs"
SECONDS, MEBIBYTES = 1.0, 200
"""What a spec may take: of the processor, and of memory beyond what was taken before."""

NUMBERS = [0, -1, 1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**30, 0.0, -0.0, 1e308, 5e-324, math.nan, math.inf, -math.inf]
TEXTS = [
    "", " ", "x", "vq", "\0", "\n", "a\nb", "\x1b[31m", "\u202ecba", "ｓｅｅｄ", "sееd", "é" * 99, "😀", "..", "/", "~",
    "a.b", "x" * 5000, "nan", "true", "%s{}", "\ufeff",
]  # fmt: skip
KEYS = ["use", "extends", "sweep", "arms", "seed"]
DATES = [datetime.date(1, 1, 1), datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC), datetime.time(0)]


def nested(depth: int, array: bool) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if array else {"a": value}
    return value


def value(rng: random.Random) -> Any:
    """A value of any type, most of them wrong wherever they stand."""
    sort = rng.randrange(8)
    if sort < 2:
        return rng.choice(NUMBERS)
    if sort < 4:
        return rng.choice(TEXTS)
    if sort == 4:
        return rng.choice([True, False, *DATES])
    if sort == 5:
        return nested(rng.choice([1, 2, 40, 60]), rng.random() < 0.5)
    if sort == 6:
        return [value(rng) for _ in range(rng.choice([0, 1, 2, 9]))] * rng.choice([1, 1, 1, 50])
    return {rng.choice(TEXTS): value(rng) for _ in range(rng.choice([0, 1, 2, 9]))}


def places(values: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every key and entry."""
    entries = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [found for step, inside in entries for found in [(*path, step), *places(inside, (*path, step))]]


def of_values(text: str, rng: random.Random) -> bytes:
    """Values replaced, gone, nested or doubled, keys renamed; as TOML."""
    values = tomli.loads(text)
    for _ in range(rng.randint(1, 3)):
        if not (known := places(values)):
            break
        *path, last = rng.choice(known)
        inside: Any = values
        for step in path:
            inside = inside[step]
        change = rng.randrange(6)
        if change < 2:
            inside[last] = value(rng)
        elif change == 2:
            del inside[last]
        elif change == 3:
            inside[last] = rng.choice([[inside[last]], {"a": inside[last]}, {str(last): inside[last]}])
        elif change == 4 and isinstance(inside, list):
            inside.extend(inside[:] * rng.choice([1, 10]))
        elif isinstance(inside, dict):
            name = rng.choice([*TEXTS, *KEYS, str(last)[:-1], f"{last}s", f"{last}.0"])
            inside[name] = inside.pop(last) if rng.random() < 0.5 else inside[last]
    try:
        return tomli_w.dumps(values).encode()
    except (TypeError, ValueError):  # an array of what TOML cannot hold
        return b"x = 1"


WORDS = [
    "[", "]", "[[", "]]", "{", "}", "=", ".", ",", '"', "'", '"""', "'''", "#", "\n", "\r", "\r\n", "\0", "\\",
    "\\u0000",
    "\\U00110000", "\ufeff", "0x", "0xfffffffffffffffff", "1e999", "-nan", "+inf", "1_000", "07",
    "1979-05-27T07:32:00Z",
    "25:61:00", "true", "True", "[sweep]", "[sweep.arms.baseline]", "[sweep.arms.x]", "[[sweep.claim]]",
    "extends = '.'",
    "extends = 'mutated.toml'", "extends = 'gone.toml'", "extends = '../quickstart.toml'", "seed = [0, 1]",
    "seed = 1", "use = 'vq'", "'seed' = 2", "a.b.c.d = 1", "a" + ".a" * 60 + " = 1", "[" * 2000, "9" * 5000, "x" * 9000,
    "\n[a]\n", "\n[[a]]\n", "\n[[metric]]\nuse = 'code-length'\n", "\n'prior.order' = [1, 2]\n", "\n[sampling]\n",
]  # fmt: skip


def of_tokens(text: str, rng: random.Random) -> bytes:
    """Words of the text gone, doubled, swapped or replaced by others."""
    words = [word for part in text.split("\n") for word in (*part.split(" "), "\n")]
    for _ in range(rng.randint(1, 4)):
        at, other, change = rng.randrange(len(words)), rng.randrange(len(words)), rng.randrange(5)
        if change == 0 and len(words) > 1:
            del words[at]
        elif change == 1:
            words[at] = words[other]
        elif change == 2:
            words.insert(at, words[other])
        elif change == 3:
            words[at] = rng.choice(WORDS)
        else:
            words.insert(at, rng.choice(WORDS))
    return " ".join(words).encode()


def of_bytes(text: str, rng: random.Random) -> bytes:
    """Bytes changed, gone or put in, a piece doubled or moved, the end cut off."""
    raw = bytearray(text.encode())
    for _ in range(rng.randint(1, 4)):
        at, change = rng.randrange(len(raw) + 1), rng.randrange(6)
        if change == 0:
            raw[at : at + 1] = bytes([rng.randrange(256)])
        elif change == 1:
            del raw[at : at + rng.choice([1, 1, 10])]
        elif change == 2:
            raw[at:at] = rng.choice(WORDS).encode()
        elif change == 3:
            raw[at:at] = raw[: rng.randrange(200)]
        elif change == 4:
            raw[at : at + 1] = bytes([raw[at : at + 1][0] ^ 1 << rng.randrange(8)]) if at < len(raw) else b""
        elif rng.random() < 0.2:
            del raw[at:]
    return bytes(raw)


MUTATIONS: list[Callable[[str, random.Random], bytes]] = [of_values, of_tokens, of_bytes]


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
    for case in faults.cases(reduced=1500, full=100_000):
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
