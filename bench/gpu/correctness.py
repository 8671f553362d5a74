"""Whether the verification kernels give the reference's bits on this GPU, and what compute-sanitizer says of them.

Each rule judges ragged trees, as they are and spoilt, in both layouts, beside the reference on the CPU, and trees of
longer rows shared by clusters of blocks; then a CUDA graph of the same call is replayed. From logits it is beside the
host build, whose softmax rounds otherwise. Without a GPU it says so, and writes nothing.

Usage: python bench/gpu/correctness.py [--cases N] [--bare]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import torch
from kept import keep, needs_gpu

from crt_verify.kernels import build, device, host
from crt_verify.kernels.commit import commit
from crt_verify.tree import Trees
from crt_verify.verdict import Verdict
from crtcore import Sampling

sys.path.append(str(Path(__file__).resolve().parents[2] / "plugins/crt-verify/tests/kernels"))
from cases import MANY, REFERENCE, WORDS, Cases, differing, ragged, spoiled, uniform

LAYOUTS = ("path-serial", "node-parallel")
LONG = {"nodes": 20, "vocabulary": 1003}
"""Trees for clusters: no share is whole pieces of 16 bytes."""
FEWER = 10
"""By how much fewer of those there are."""
WIDE = ({"vocabulary": 50_257}, {"vocabulary": 128_000}, {"vocabulary": 128_000, "blocks": 1})
"""Rows of a size that is met: as many threads and blocks as are chosen, and one block, which cannot hold them."""
CUT = Sampling(top_k=300, top_p=0.9, min_p=1e-4)
NEAR = 10
"""Rows of 10,000 that may differ from logits: a walk meets at most 7 coins, and each falls otherwise at 1e-5."""
SANITIZED = 300
"""Cases of a rule under compute-sanitizer, which makes everything slow."""


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--cases", type=int, default=MANY)
    words.add_argument("--bare", action="store_true", help="Compare only: no compute-sanitizer, nothing kept.")
    given = words.parse_args()
    needs_gpu()
    wrong = {name: compared(name, given.cases) for name in WORDS}
    wrong["commit"] = {"slots": committed(given.cases)}
    wrong |= {f"logits_{number}": fused(number, given.cases) for number in ("float32", "bfloat16", "float16")}
    for name, found in wrong.items():
        print(f"{name}: rows that differ: {found}")
    bad = {name for name, found in wrong.items() if max(found.values()) > (NEAR if "logits" in name else 0)}
    if not given.bare:
        tools = {tool: sanitized(tool) for tool in ("memcheck", "racecheck", "synccheck")}
        keep("correctness", {"cases": given.cases, "differing": wrong, "sanitizer": tools})
        unclean = not set(tools.values()) <= {"clean", "not run: no compute-sanitizer"}
        rules = {"probabilities"} if not bad & set(WORDS) else set()
        for part in () if unclean else (wrong.keys() - set(WORDS) - bad) | rules:
            build.note(f"ran-{part}", {"part": part, "ran": torch.cuda.get_device_name()})
        sys.exit(bool(bad) or unclean)
    sys.exit(bool(bad))


def compared(name: str, cases: int) -> dict[str, int]:
    """Rows in which a rule's kernels and its reference differ."""
    kernel = device.rule(WORDS[name][0], **WORDS[name][1])
    sound = ragged(name, seed=1, size=cases)
    found = {}
    for sort, batch in {"ragged": sound, "spoilt": spoiled(sound, seed=2)}.items():
        expected = REFERENCE[name].verify(*batch)
        there = moved(batch)
        for layout in LAYOUTS:
            found[f"{sort}, {layout}"] = differing(expected, back(attrs.evolve(kernel, layout=layout).verify(*there)))
        found[f"{sort}, graph"] = differing(expected, back(replayed(kernel, there)))
    long = ragged(name, seed=6, size=cases // FEWER, **LONG)
    expected, there = REFERENCE[name].verify(*long), moved(long)
    for blocks in device.BLOCKS if torch.cuda.get_device_capability() >= (9, 0) else device.BLOCKS[:1]:
        for layout in LAYOUTS:
            verdict = attrs.evolve(kernel, layout=layout, blocks=blocks).verify(*there)
            found[f"long, {layout}, {blocks}"] = differing(expected, back(verdict))
    for words in WIDE:
        wide = ragged(name, seed=7, size=8, nodes=9, vocabulary=words["vocabulary"])
        expected, there = REFERENCE[name].verify(*wide), moved(wide)
        for layout in LAYOUTS:
            verdict = attrs.evolve(kernel, layout=layout, blocks=words.get("blocks")).verify(*there)
            found[f"wide, {layout}, {words}"] = differing(expected, back(verdict))
    return found


def fused(number: str, cases: int) -> dict[str, int]:
    """Rows in which the kernels and the host build differ from logits, by rule."""
    found = {}
    for name, (word, keywords) in WORDS.items():
        batch = uniform(ragged(name, seed=4, size=cases), seed=5)
        logits = batch._replace(**{law: getattr(batch, law).log().to(getattr(torch, number)) for law in ("p", "q")})
        expected = host.rule(word, **keywords).from_logits(*logits, sampling=Sampling())
        kernel = device.rule(word, **keywords)
        there = moved(logits)
        for layout in LAYOUTS:
            verdict = attrs.evolve(kernel, layout=layout).from_logits(*there, sampling=Sampling())
            found[f"{name}, {layout}"] = differing(expected, back(verdict))
        long = uniform(ragged(name, seed=8, size=cases // FEWER, **LONG), seed=9)
        logits = long._replace(**{law: getattr(long, law).log().to(getattr(torch, number)) for law in ("p", "q")})
        expected, there = host.rule(word, **keywords).from_logits(*logits, sampling=CUT), moved(logits)
        for blocks in (1, 8) if torch.cuda.get_device_capability() >= (9, 0) else (1,):
            verdict = attrs.evolve(kernel, blocks=blocks).from_logits(*there, sampling=CUT)
            found[f"{name}, cut, {blocks}"] = differing(expected, back(verdict))
    return found


def moved(cases: Cases) -> Cases:
    """Cases on the GPU."""
    return Cases(Trees(*(field.cuda() for field in cases.trees)), *(field.cuda() for field in cases[1:]))


def back(verdict: Verdict) -> Verdict:
    return Verdict(*(field.cpu() for field in verdict))


def replayed(kernel: Any, cases: Cases) -> Verdict:
    """The verdict of a captured call, replayed."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        verdict = kernel.verify(*cases)
    graph.replay()
    torch.cuda.synchronize()
    return verdict


def committed(rows: int) -> int:
    """Slots in which the commit and its host build differ."""
    generator = torch.Generator().manual_seed(3)
    shelf = torch.randn(rows, 16, 2, 32, generator=generator).bfloat16()
    path = torch.rand(rows, 8, generator=generator).argsort(-1)[:, :5].sort(-1).values
    path = torch.where(torch.arange(5) < torch.randint(6, (rows, 1), generator=generator), path, -1)
    counts = torch.randint(9, (rows,), generator=generator)
    there = shelf.cuda()
    commit(there, path.cuda(), counts.cuda(), 8)
    commit(shelf, path, counts, 8)
    return int((there.cpu() != shelf).flatten(2).any(-1).sum())


def sanitized(tool: str) -> str:
    """What compute-sanitizer finds in this script on fewer cases."""
    found = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if found is None:
        return "not run: no compute-sanitizer"
    words = [
        found,
        "--tool",
        tool,
        "--error-exitcode",
        "9",
        sys.executable,
        __file__,
        "--bare",
        "--cases",
        str(SANITIZED),
    ]
    ended = subprocess.run(words, check=False, capture_output=True, text=True)
    if ended.returncode:
        print(ended.stdout[-2000:], ended.stderr[-2000:])
    return "clean" if ended.returncode == 0 else f"status {ended.returncode}"


if __name__ == "__main__":
    main()
