"""Whether the verification kernels compile for this GPU and give the reference's bits on it.

Each rule judges ragged trees, as they are and spoilt, in both layouts, and trees of longer rows shared by clusters of
blocks, beside the reference on the CPU. From logits it is beside the host build, whose softmax rounds otherwise. All
libraries are compiled at once, FlashInfer's among them for a later bench, while other processes compute what is
expected. Without a GPU it says so, and writes nothing.

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
from crt_verify.kernels.names import LAWS
from crt_verify.verdict import Verdict
from crtcore import Sampling

LONG = {"nodes": 20, "vocabulary": 1003}
"""Trees for clusters: no share is whole pieces of 16 bytes."""
FEWER = 10
"""By how much fewer of those there are."""
FEW = 8
"""Trees of rows of a size that is met."""
CUT = Sampling(top_k=300, top_p=0.9, min_p=1e-4)
NEAR = 10
"""Rows of 10,000 that may differ from logits: a walk meets at most 7 coins, and each falls otherwise at 1e-5."""
NUMBERS = ("float32", "bfloat16", "float16")
REHEARSED = "sm_90"
"""What is compiled for where there is a compiler and no GPU."""


class Expected(NamedTuple):
    """Trees, and what the verdict on them has to be."""

    label: str
    cases: Cases
    verdict: Verdict
    settings: tuple[Mapping[str, Any], ...]
    """How kernels are started on them."""
    sampling: Sampling | None = None
    """None: rows are probabilities."""


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--cases", type=int, default=MANY)
    words.add_argument("--wide", type=int, nargs="+", default=[50_257, 128_000], help="Vocabularies that are met.")
    words.add_argument("--only", nargs="+", choices=list(WORDS), default=list(WORDS))
    words.add_argument("--bare", action="store_true", help="Keep nothing.")
    given = words.parse_args()
    blocks = here().blocks
    found: dict[str, Any] = {"cases": given.cases, "differing": {}}
    wrong: dict[str, dict[str, int]] = found["differing"]
    with (
        ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as workers,
        ThreadPoolExecutor() as threads,
    ):
        peer = None if given.bare else threads.submit(flashinfer)
        jobs = {name: workers.submit(packed, of_rows, name, given.cases, given.wide, blocks) for name in given.only}
        found["compiled"] = compiled()
        print(f"compiled, seconds: {found['compiled']}", flush=True)
        fused = {name: workers.submit(packed, of_logits, name, given.cases, blocks) for name in given.only}
        for name, rows in comparisons(jobs, fused):
            wrong.setdefault(name, {}).update(rows)
            print(f"{name}: rows that differ: {rows}", flush=True)
            if not given.bare:
                keep("correctness", found)
    found["FlashInfer"] = peer and peer.result()
    print(f"FlashInfer: {found['FlashInfer']}", flush=True)
    wrong["commit"] = {"slots": committed(given.cases)}
    bad = [name for name, rows in wrong.items() if max(rows.values()) > (NEAR if "logits" in name else 0)]
    if not given.bare:
        keep("correctness", found)
        if not here().rehearsed:
            note(wrong.keys(), bad)
    outcome = f"differ: {', '.join(bad)}" if bad else "equal"
    print(f"{sum(map(len, wrong.values()))} comparisons, of {given.cases} trees and fewer larger ones: {outcome}")
    sys.exit(bool(bad))


def note(parts: Iterable[str], bad: list[str]) -> None:
    """Says to `crt kernels` what has run here and was right."""
    rules = {"probabilities"} if not set(bad) & set(WORDS) else set()
    for part in ({*parts} - set(WORDS) - set(bad)) | rules:
        build.note(f"ran-{part}", {"part": part, "ran": here().name})


def compiled() -> dict[str, Any]:
    """Seconds that each library took to compile, all at once."""
    if here().rehearsed and not shutil.which(device.compiler()):
        host.library()
        return {"the kernels": "not compiled: no nvcc"}
    target = REHEARSED if here().rehearsed else "sm_{}{}".format(*torch.cuda.get_device_capability())
    parts: dict[str, Callable[[], Any]] = {rows: partial(device.library, rows, [target]) for rows in LAWS}
    parts |= {"commit": lambda: device.built("commit.cu", "commit", [target]), "host": host.library}

    def taken(part: Callable[[], Any]) -> float:
        start = time.perf_counter()
        part()
        return round(time.perf_counter() - start, 1)

    with ThreadPoolExecutor() as threads:
        seconds = dict(zip(parts, threads.map(taken, parts.values()), strict=True))
    for rows in LAWS:
        device.loaded(rows, target)
    return {"for": target, **seconds}


def packed(job: Callable[..., Any], *given: Any) -> bytes:
    """What a job gives, by value: tensors that processes share each take a file and room in shared memory."""
    made = io.BytesIO()
    torch.save(job(*given), made)
    return made.getvalue()


def unpacked(job: Future[bytes]) -> Any:
    """What a job gave."""
    return torch.load(io.BytesIO(job.result()), weights_only=False)


def of_rows(name: str, cases: int, wide: list[int], blocks: tuple[int, ...]) -> list[Expected]:
    """What a rule has to say of trees with probabilities, by its reference."""
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
    """What a rule has to say of trees with logits of each type, by the host build."""
    torch.set_num_threads(1)
    word, keywords = WORDS[name]
    short = uniform(ragged(name, seed=4, size=cases), seed=5)
    long = uniform(ragged(name, seed=8, size=-(-cases // FEWER), **LONG), seed=9)
    layouts = tuple({"layout": layout} for layout in LAYOUTS)
    clusters = tuple({"blocks": count} for count in sorted({1, blocks[-1]}))
    found: dict[str, list[Expected]] = {}
    for number in NUMBERS:
        found[number] = []
        for label, batch, settings, sampling in (
            (name, short, layouts, Sampling()),
            (f"{name}, cut", long, clusters, CUT),
        ):
            logits = batch._replace(**{law: getattr(batch, law).log().to(getattr(torch, number)) for law in ("p", "q")})
            verdict = host.rule(word, **keywords).from_logits(*logits, sampling=sampling)
            found[number].append(Expected(label, logits, verdict, settings, sampling))
    return found


def comparisons(
    rows: Mapping[str, Future[bytes]], logits: Mapping[str, Future[bytes]]
) -> Iterable[tuple[str, dict[str, int]]]:
    """Part by part, the rows in which the kernels' verdicts are others."""
    for name, job in rows.items():
        yield name, apart(name, unpacked(job))
    for name, fused in logits.items():
        for number, batches in unpacked(fused).items():
            yield f"logits_{number}", apart(name, batches)


def apart(name: str, batches: list[Expected]) -> dict[str, int]:
    """Rows in which a rule's kernels and what is expected differ, by batch and start."""
    word, keywords = WORDS[name]
    kernel = here().rule(word, **keywords)
    found = {}
    for label, cases, expected, settings, sampling in batches:
        there = moved(cases)
        for words in settings:
            started = attrs.evolve(kernel, **words)
            verdict = started.verify(*there) if sampling is None else started.from_logits(*there, sampling=sampling)
            found[", ".join((label, *map(str, words.values())))] = differing(expected, back(verdict))
    return found


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
