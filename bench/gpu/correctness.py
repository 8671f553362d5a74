"""Whether the verification kernels compile for this GPU and give the reference's bits on it.

Each rule verifies ragged trees, valid and spoilt, in both layouts, and trees of longer rows shared by clusters of
blocks, and is compared with the reference on the CPU. From logits it is compared with the host build, as its softmax
rounds differently. All libraries are compiled at once, FlashInfer's among them for a later bench, while other processes
compute what is expected. Without a GPU it prints so, and writes nothing.

Usage: python bench/gpu/correctness.py [--cases N] [--wide V ...] [--only RULE ...] [--bare]
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import attrs
import torch
from compared import LAYOUTS, MANY, REFERENCE, WORDS, Cases, differing, moved, ragged, spoiled, uniform
from kept import keep
from machine import here
from peers import flashinfer

from crt_verify.kernels import build, device, host
from crt_verify.kernels.commit import commit
from crt_verify.kernels.names import ROWS
from crt_verify.verdict import Verdict
from crtcore import Sampling

LONG = {"nodes": 20, "vocabulary": 1003}
"""Trees for clusters: no share is whole pieces of 16 bytes."""
FEWER = 10
"""By how much fewer of those there are."""
FEW = 8
"""Trees with rows of a size in use."""
CUT = Sampling(top_k=300, top_p=0.9, min_p=1e-4)
NEAR = 10
"""Rows of 10,000 that may differ from logits: a walk uses at most 7 uniforms, and each decides otherwise at 1e-5."""
NUMBERS = ("float32", "bfloat16", "float16")
REHEARSED = "sm_90"
"""What is compiled for where there is a compiler and no GPU."""


class Expected(NamedTuple):
    """Trees, and the expected verdict."""

    label: str
    cases: Cases
    verdict: Verdict
    settings: tuple[Mapping[str, Any], ...]
    """How kernels are started on them."""
    sampling: Sampling | None = None
    """None: rows are probabilities."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=MANY)
    parser.add_argument("--wide", type=int, nargs="+", default=[50_257, 128_000], help="Vocabularies in use.")
    parser.add_argument("--only", nargs="+", choices=list(WORDS), default=list(WORDS))
    parser.add_argument("--bare", action="store_true", help="Keep nothing.")
    arguments = parser.parse_args()
    blocks = here().blocks
    record: dict[str, Any] = {"cases": arguments.cases, "differing": {}}
    wrong: dict[str, dict[str, int]] = record["differing"]
    with (
        ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as workers,
        ThreadPoolExecutor() as threads,
    ):
        peer = None if arguments.bare else threads.submit(flashinfer)
        jobs = {
            name: workers.submit(packed, of_rows, name, arguments.cases, arguments.wide, blocks)
            for name in arguments.only
        }
        record["compiled"] = compiled()
        print(f"compiled, seconds: {record['compiled']}", flush=True)
        fused = {name: workers.submit(packed, of_logits, name, arguments.cases, blocks) for name in arguments.only}
        for name, rows in comparisons(jobs, fused):
            wrong.setdefault(name, {}).update(rows)
            print(f"{name}: rows that differ: {rows}", flush=True)
            if not arguments.bare:
                keep("correctness", record)
    record["FlashInfer"] = peer and peer.result()
    print(f"FlashInfer: {record['FlashInfer']}", flush=True)
    wrong["commit"] = {"slots": committed(arguments.cases)}
    bad = [name for name, rows in wrong.items() if max(rows.values()) > (NEAR if "logits" in name else 0)]
    if not arguments.bare:
        keep("correctness", record)
        if not here().rehearsed:
            note(wrong.keys(), bad)
    outcome = f"differ: {', '.join(bad)}" if bad else "equal"
    print(f"{sum(map(len, wrong.values()))} comparisons, of {arguments.cases} trees and fewer larger ones: {outcome}")
    sys.exit(bool(bad))


def note(parts: Iterable[str], bad: list[str]) -> None:
    """Records for `crt kernels` what has run here without differences."""
    rules = {"probabilities"} if not set(bad) & set(WORDS) else set()
    for part in ({*parts} - set(WORDS) - set(bad)) | rules:
        build.note(f"ran-{part}", {"part": part, "ran": here().name})


def compiled() -> dict[str, Any]:
    """Seconds that each library took to compile, all at once."""
    if here().rehearsed and not shutil.which(device.compiler()):
        host.library()
        return {"the kernels": "not compiled: no nvcc"}
    target = REHEARSED if here().rehearsed else "sm_{}{}".format(*torch.cuda.get_device_capability())
    parts: dict[str, Callable[[], Any]] = {rows: partial(device.library, rows, [target]) for rows in ROWS}
    parts |= {"commit": lambda: device.built("commit.cu", "commit", [target]), "host": host.library}

    def taken(part: Callable[[], Any]) -> float:
        start = time.perf_counter()
        part()
        return round(time.perf_counter() - start, 1)

    with ThreadPoolExecutor() as threads:
        seconds = dict(zip(parts, threads.map(taken, parts.values()), strict=True))
    for rows in ROWS:
        device.loaded(rows, target)
    return {"for": target, **seconds}


def packed(job: Callable[..., Any], *values: Any) -> bytes:
    """The result of a job, by value: each tensor that processes share takes a file and shared memory."""
    made = io.BytesIO()
    torch.save(job(*values), made)
    return made.getvalue()


def unpacked(job: Future[bytes]) -> Any:
    """The result of a packed job."""
    return torch.load(io.BytesIO(job.result()), weights_only=False)


def of_rows(name: str, cases: int, wide: list[int], blocks: tuple[int, ...]) -> list[Expected]:
    """Expected verdicts of a rule on trees with probabilities, by its reference."""
    torch.set_num_threads(1)
    sound = ragged(name, seed=1, size=cases)
    layouts: tuple[dict[str, Any], ...] = tuple({"layout": layout} for layout in LAYOUTS)
    batches: list[tuple[str, Cases, tuple[Mapping[str, Any], ...]]] = [
        ("ragged", sound, layouts),
        ("spoilt", spoiled(sound, seed=2), layouts),
        (
            "long", ragged(name, seed=6, size=-(-cases // FEWER), **LONG),
            tuple({**words, "blocks": count} for count in blocks for words in layouts),
        ),
    ]  # fmt: skip
    for vocabulary in wide:  # as many threads and blocks as are chosen, and one block, which cannot hold a row
        several = (*layouts, *({**words, "blocks": 1} for words in layouts))
        batches.append((f"wide {vocabulary}", ragged(name, seed=7, size=FEW, nodes=9, vocabulary=vocabulary), several))
    return [Expected(label, batch, REFERENCE[name].verify(*batch), settings) for label, batch, settings in batches]


def of_logits(name: str, cases: int, blocks: tuple[int, ...]) -> dict[str, list[Expected]]:
    """Expected verdicts of a rule on trees with logits of each type, by the host build."""
    torch.set_num_threads(1)
    word, keywords = WORDS[name]
    short = uniform(ragged(name, seed=4, size=cases), seed=5)
    long = uniform(ragged(name, seed=8, size=-(-cases // FEWER), **LONG), seed=9)
    layouts = tuple({"layout": layout} for layout in LAYOUTS)
    clusters = tuple({"blocks": count} for count in sorted({1, blocks[-1]}))
    expected: dict[str, list[Expected]] = {}
    for number in NUMBERS:
        expected[number] = []
        for label, batch, settings, sampling in (
            (name, short, layouts, Sampling()),
            (f"{name}, cut", long, clusters, CUT),
        ):
            logits = batch._replace(
                **{field: getattr(batch, field).log().to(getattr(torch, number)) for field in ("p", "q")}
            )
            verdict = host.rule(word, **keywords).from_logits(*logits, sampling=sampling)
            expected[number].append(Expected(label, logits, verdict, settings, sampling))
    return expected


def comparisons(
    rows: Mapping[str, Future[bytes]], logits: Mapping[str, Future[bytes]]
) -> Iterable[tuple[str, dict[str, int]]]:
    """For each part, the number of rows in which the verdicts of the kernels differ."""
    for name, job in rows.items():
        yield name, apart(name, unpacked(job))
    for name, fused in logits.items():
        for number, batches in unpacked(fused).items():
            yield f"logits_{number}", apart(name, batches)


def apart(name: str, batches: list[Expected]) -> dict[str, int]:
    """Rows in which a rule's kernels and what is expected differ, by batch and start."""
    word, keywords = WORDS[name]
    kernel = here().rule(word, **keywords)
    counts = {}
    for label, cases, expected, settings, sampling in batches:
        there = moved(cases)
        for words in settings:
            started = attrs.evolve(kernel, **words)
            verdict = started.verify(*there) if sampling is None else started.from_logits(*there, sampling=sampling)
            counts[", ".join((label, *map(str, words.values())))] = differing(expected, back(verdict))
    return counts


def back(verdict: Verdict) -> Verdict:
    return Verdict(*(field.cpu() for field in verdict))


def committed(rows: int) -> int:
    """Slots in which the commit and its host build differ."""
    generator = torch.Generator().manual_seed(3)
    shelf = torch.randn(rows, 16, 2, 32, generator=generator).bfloat16()
    path = torch.rand(rows, 8, generator=generator).argsort(-1)[:, :5].sort(-1).values
    path = torch.where(torch.arange(5) < torch.randint(6, (rows, 1), generator=generator), path, -1)
    counts = torch.randint(9, (rows,), generator=generator)
    there = shelf.to(here().device, copy=True)
    commit(there, path.to(there.device), counts.to(there.device), 8)
    commit(shelf, path, counts, 8)
    return int((there.cpu() != shelf).flatten(2).any(-1).sum())


if __name__ == "__main__":
    main()
