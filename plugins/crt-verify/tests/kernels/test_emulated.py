"""The kernels on a CPU, with emulated threads, warps, blocks and clusters: the reference's bits, and no race.

Axes: b batch, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
import torch
from torch import Tensor

from crt_verify.kernels import build, host
from crt_verify.kernels.names import NAMES
from crt_verify.rules.tree_batch import ACCEPT, FINAL, TreeBatch
from crt_verify.tree import Tree, batch
from crt_verify.verdict import Verdict
from crtcore import Sampling

from ..rules.test_reading import readings
from .cases import REFERENCE, WORDS, Cases, differing, ragged, spoiled, uniform

SOURCES = Path(__file__).parent / "emulated"
FLAGS = ("-O0", "-g", "-ffp-contract=off")  # a second to compile; a run takes longer to change fibers than to count
SANITIZERS = {
    "memory": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "races": ("-fsanitize=thread",),
}
OPTIONS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=0:detect_leaks=0",
    "TSAN_OPTIONS": "halt_on_error=1:atexit_sleep_ms=0",
}
RACE = 66
"""The exit status of ThreadSanitizer."""
LAYOUTS = ("path-serial", "node-parallel")


class Call(NamedTuple):
    """A batch, and how the kernels are started on it."""

    name: str
    cases: Cases
    layout: str = "path-serial"
    threads: int = 64
    blocks: int = 1
    """Blocks of a cluster."""
    cached: bool = True
    """Whether a block's share of a row is copied to shared memory."""
    seed: int = 0
    """Of the order of clusters and threads."""
    sampling: Sampling | None = None
    """None: rows are probabilities."""

    def packed(self) -> bytes:
        """As emulated.cpp reads it."""
        _, p, q, *_ = self.cases
        words = (NAMES.index(self.name), host.NUMBERS.index(p.dtype), self.sampling is not None)
        start = (self.layout == "node-parallel", self.cached, self.threads, self.blocks, self.seed, *p.shape)
        fields = (*self.cases.trees, p, q, self.cases.accept, self.cases.final)
        cut = self.sampling or Sampling()
        chances = struct.pack("dqdd", cut.temperature, cut.top_k, cut.top_p, cut.min_p)
        return struct.pack("11q", *words, *start) + chances + b"".join(map(_bytes, fields))


class Output(NamedTuple):
    """The output of a call."""

    verdict: Verdict
    copied: int
    """Bytes that asynchronous copies read."""


def _bytes(field: Tensor) -> bytes:
    return field.contiguous().view(torch.uint8).numpy().tobytes()


def run(program: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """A program under its sanitizer, which needs memory where it expects it."""
    command = (*_fixed_places(), str(program), *map(str, words))
    return subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **OPTIONS})


@cache
def _fixed_places() -> tuple[str, ...]:
    """Words that start a program without random addresses, where that is allowed."""
    words = ("setarch", "-R")
    allowed = (
        shutil.which(words[0]) and not subprocess.run((*words, "true"), check=False, capture_output=True).returncode
    )
    return words if allowed else ()


def emulated(program: Path, calls: Sequence[Call], folder: Path) -> list[Output]:
    """The outputs of emulated kernels."""
    inputs, outputs = folder / "calls", folder / "verdicts"
    inputs.write_bytes(b"".join(call.packed() for call in calls))
    ended = run(program, inputs, outputs)
    assert ended.returncode == 0, ended.stderr
    words = torch.frombuffer(bytearray(outputs.read_bytes()), dtype=torch.int64)
    shapes = [call.cases.p.shape[:2] for call in calls]
    parts = words.split([size * (most + 2) + 1 for size, most in shapes])
    return [_output(part, *shape) for part, shape in zip(parts, shapes, strict=True)]


def _output(part: Tensor, size: int, most: int) -> Output:
    path, length, final, fault, copied = part.split([size * (most - 1), size, size, size, 1])
    return Output(Verdict(path.view(size, most - 1), length, final, fault), int(copied))


def compiled(source: str, program: Path, *flags: str) -> Path:
    """Compiles a source of the emulation with g++."""
    command = ("g++", "-std=c++20", "-DCRT_EMULATED", *flags, str(SOURCES / source), "-o", str(program))
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return program


@pytest.fixture(scope="module")
def emulation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The emulation of threads, compiled without a sanitizer."""
    return compiled("cuda.cpp", tmp_path_factory.mktemp("emulation") / "cuda.o", "-O2", "-c")


Programs = Callable[..., Path]


@pytest.fixture(scope="module")
def programs(emulation: Path, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """The program of a source and a sanitizer, with our kernels or those of another folder; compiled once."""

    @cache
    def program(source: str, sanitizer: str, kernels: Path = build.FOLDER) -> Path:
        flags = (*FLAGS, *SANITIZERS[sanitizer], f"-I{SOURCES}", f"-I{kernels}", str(emulation))
        return compiled(source, tmp_path_factory.mktemp(sanitizer) / "program", *flags)

    return program


@pytest.mark.parametrize("name", WORDS)
def test_blocks_of_many_threads_have_the_references_bits(name: str, programs: Programs, tmp_path: Path) -> None:
    small, middle = ragged(name, seed=1, size=300), ragged(name, seed=2, size=100, vocabulary=150)
    long = ragged(name, seed=3, size=3, nodes=20, vocabulary=2100)
    calls = [Call(name, cases, layout) for cases in (small, middle, long) for layout in LAYOUTS]
    calls += [Call(name, long, threads=256)]

    outputs = emulated(programs("emulated.cpp", "memory"), calls, tmp_path)

    expected = [REFERENCE[name].verify(*call.cases) for call in calls]
    assert [differing(one, each.verdict) for one, each in zip(expected, outputs, strict=True)] == [0] * len(calls)


@pytest.mark.parametrize("name", WORDS)
def test_blocks_of_many_threads_report_the_references_faults(name: str, programs: Programs, tmp_path: Path) -> None:
    cases = spoiled(ragged(name, seed=4, size=300), seed=5)

    outputs = emulated(programs("emulated.cpp", "memory"), [Call(name, cases, layout) for layout in LAYOUTS], tmp_path)

    expected = REFERENCE[name].verify(*cases)
    assert len(set(expected.fault.tolist())) > 8
    assert [differing(expected, each.verdict) for each in outputs] == [0, 0]


CLUSTERS = ((1, True), (2, True), (4, True), (2, False))
"""Blocks of a cluster, and whether rows are copied to shared memory."""


@pytest.mark.parametrize("name", WORDS)
def test_clusters_have_the_references_bits(name: str, programs: Programs, tmp_path: Path) -> None:
    batches = [ragged(name, seed=9, size=10, nodes=12, vocabulary=size) for size in (5, 203, 512)]
    batches += [spoiled(batches[1], seed=10)]
    calls = [
        Call(name, cases, layout, blocks=blocks, cached=cached)
        for cases in batches
        for layout in LAYOUTS
        for blocks, cached in CLUSTERS
    ]

    outputs = emulated(programs("emulated.cpp", "memory"), calls, tmp_path)

    expected = [REFERENCE[name].verify(*call.cases) for call in calls]
    assert [differing(one, each.verdict) for one, each in zip(expected, outputs, strict=True)] == [0] * len(calls)


@pytest.mark.parametrize("blocks", [1, 4])
@pytest.mark.parametrize("name", WORDS)
def test_a_row_is_read_once_however_many_siblings_are_tried(
    name: str, blocks: int, programs: Programs, tmp_path: Path
) -> None:
    cases = ragged(name, seed=11, size=60, nodes=12, vocabulary=64)

    copied = emulated(programs("emulated.cpp", "memory"), [Call(name, cases, blocks=blocks)], tmp_path)[0].copied

    rule, inner = REFERENCE[name], TreeBatch(*cases[:3]).inner
    rows = [1 + (inner[row, nodes] & (rule.reads != "none")).long() for row, nodes in enumerate(readings(name, cases))]
    least, again = sum(int(each.sum()) for each in rows), sum(int(each[-1]) for each in rows)
    most = least + again * rule.leaves_first  # the rows of a walk's end, if it has been elsewhere since
    assert least <= copied / (64 * 4) <= most


@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", sorted(set(WORDS) - {"kseq"}))  # which merges paths, whose rows differ here
def test_few_verdicts_from_logits_differ(name: str, number: torch.dtype, programs: Programs, tmp_path: Path) -> None:
    cases = uniform(ragged(name, seed=6, size=40), seed=7)
    logits = cases._replace(p=cases.p.log().to(number), q=cases.q.log().to(number))
    calls = [Call(name, logits, layout, blocks=2, sampling=Sampling()) for layout in LAYOUTS]

    outputs = emulated(programs("emulated.cpp", "memory"), calls, tmp_path)

    word, keywords = WORDS[name]
    expected = host.rule(word, **keywords).from_logits(*logits, sampling=Sampling())
    # a test differs with probability 1e-5, a walk makes at most 7: more than 2 rows of 40 differ below 1e-6
    assert all(differing(expected, each.verdict) <= 2 for each in outputs)


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16, torch.float16])
def test_clusters_cut_a_row_where_one_thread_does(
    number: torch.dtype, cached: bool, programs: Programs, tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(0)
    root = batch([Tree([-1], [-1])] * 40)
    rows = (3 * torch.randn(40, 1, 203, generator=generator)).to(number)
    uniforms = (torch.randint(top, (40, 1), generator=generator) for top in (ACCEPT, FINAL))
    cases = Cases(root, rows, rows, *uniforms)
    cuts = [Sampling(top_k=20), Sampling(top_p=0.9), Sampling(min_p=0.05), Sampling(top_k=30, top_p=0.5, temperature=2)]

    outputs = emulated(
        programs("emulated.cpp", "memory"),
        [Call("single", cases, blocks=4, cached=cached, sampling=x) for x in cuts],
        tmp_path,
    )

    expected = [host.rule("single").from_logits(*cases, sampling=sampling) for sampling in cuts]
    # masses agree to 1e-15, uniforms are multiples of 2**-32: one on an edge has a probability below 1e-6
    assert [differing(one, each.verdict) for one, each in zip(expected, outputs, strict=True)] == [0] * len(cuts)


def test_no_order_of_clusters_and_threads_changes_a_verdict(programs: Programs, tmp_path: Path) -> None:
    cases = ragged("recursive", seed=8, size=100)
    calls = [Call("recursive", cases, layout, seed=seed) for layout in LAYOUTS for seed in range(1, 5)]

    outputs = emulated(programs("emulated.cpp", "memory"), calls, tmp_path)

    assert {differing(outputs[0].verdict, each.verdict) for each in outputs} == {0}


def few(size: int) -> list[Call]:
    """Every rule in every layout, on rows that are longer than a cluster."""
    rules = [(name, ragged(name, seed=9, size=size, nodes=9, vocabulary=150)) for name in WORDS]
    return [Call(name, cases, layout, blocks=2) for name, cases in rules for layout in LAYOUTS]


def cut(size: int) -> Call:
    """Logits of which ids are cut off, some of equal logits."""
    cases = uniform(ragged("recursive", seed=12, size=size, vocabulary=150), seed=13)
    logits = cases._replace(p=cases.p.log().bfloat16(), q=cases.p.log().bfloat16())
    return Call("recursive", logits, blocks=2, sampling=Sampling(top_k=40, top_p=0.95))


def test_no_two_threads_race(programs: Programs, tmp_path: Path) -> None:
    calls = few(20)

    outputs = emulated(programs("emulated.cpp", "races"), [*calls, cut(20)], tmp_path)

    expected = [REFERENCE[call.name].verify(*call.cases) for call in calls]
    assert {differing(one, each.verdict) for one, each in zip(expected, outputs[:-1], strict=True)} == {0}


# Programs with planted flaws fail: our kernels, and small ones.


def planted(folder: Path, file: str, ours: str, theirs: str, place: int) -> Path:
    """A copy of our kernels with one place of a text replaced."""
    for path in build.sources():
        shutil.copy(path, folder)
    parts = (folder / file).read_text().split(ours)
    assert len(parts) > place + 1
    (folder / file).write_text(ours.join(parts[: place + 1]) + theirs + ours.join(parts[place + 1 :]))
    return folder


@pytest.mark.parametrize(
    ("file", "barrier", "place"),
    [
        *(("group.cuh", "    wait();", place) for place in range(3)),
        ("group.cuh", "    cluster.sync();", 0),
        *(("tree.cuh", "group.wait();", place) for place in range(2)),
        ("rows.cuh", "group.wait();", 0),
        *(("traversal.cuh", "round.group.wait();", place) for place in range(2)),
        ("kernels.cuh", "state.group.wait();", 0),
    ],
)
def test_a_missing_barrier_is_found(file: str, barrier: str, place: int, programs: Programs, tmp_path: Path) -> None:
    kernels = planted(tmp_path, file, barrier, ";", place)

    with pytest.raises(AssertionError, match=r"ThreadSanitizer: (data race|SEGV)"):  # unwritten memory is garbage
        emulated(programs("emulated.cpp", "races", kernels), [*few(8), cut(8)], tmp_path)


def test_a_read_beyond_shared_memory_is_found(programs: Programs, tmp_path: Path) -> None:
    kernels = planted(tmp_path, "group.cuh", "x < share.count;", "x <= share.count;", 0)

    with pytest.raises(AssertionError, match=r"ERROR: AddressSanitizer: heap-buffer-overflow"):
        emulated(programs("emulated.cpp", "memory", kernels), few(30), tmp_path)


FLAWS: dict[str, tuple[Literal["memory", "races"], int, str]] = {
    "block": ("races", RACE, "data race"),
    "warp": ("races", RACE, "data race"),
    "cluster": ("races", RACE, "data race"),
    "early": ("races", RACE, "data race"),
    "last": ("races", RACE, "data race"),
    "seen": ("races", RACE, "data race"),
    "handed": ("races", RACE, "data race"),
    "copies": ("memory", 3, ""),
    "lanes": ("memory", 3, ""),
    "aligned": ("memory", -6, "expected an asynchronous copy between aligned places"),
    "waited": ("memory", -6, "expected a wait for every copy"),
    "apart": ("memory", -6, "expected all threads at a barrier, got some that wait for their block"),
    "beyond": ("memory", 1, "heap-buffer-overflow"),
}
"""For each kernel of planted.cpp: the sanitizer that finds its flaw, the exit status and the message."""


@pytest.mark.parametrize("name", FLAWS)
def test_a_planted_flaw_is_found_and_nothing_else(name: str, programs: Programs) -> None:
    finder, status, words = FLAWS[name]

    sound = [run(programs("planted.cpp", sanitizer), name, 0).returncode for sanitizer in SANITIZERS]
    flawed = run(programs("planted.cpp", finder), name, 1)

    assert (sound, flawed.returncode) == ([0, 0], status)
    assert words in flawed.stderr
