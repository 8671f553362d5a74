"""Milliseconds of a verdict on a CPU at 128,000 ids: by the host build and an earlier one, and from logits.

Decoders draft trees of 31 nodes for 8 rows, where target and draft are one row of random logits each, a small distance
apart. The host build of an earlier revision is compiled from git; its verdicts have the same bits. From logits, the
other side is torch's softmax of the target's rows into memory that is there already, then a verdict; it is given the
draft's probabilities. Seconds are of the processor, so that other programs change them little.

Usage: python bench/large_verdicts.py [--judged N] [--rounds N] [--threads N] [--json]
"""

import argparse
import ctypes
import itertools
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from side_by_side import Spread, keep, options, ratio, seconds, show, spread
from verification import find, recorded_rounds

from crt_verify.kernels import host
from crtcore import Sampling

VOCABULARY, BATCH, NODES = 128_000, 8, 31
TREES: dict[str, tuple[str, dict[str, Any]]] = {
    "chain 30": ("sd", {"length": 30}),
    "rsd-c (2,2,2,2)": ("rsd-c", {"branching": (2, 2, 2, 2)}),
    "rsd-s (5,6)": ("rsd-s", {"width": 5, "length": 6}),
    "spectr 5 by 6": ("spectr", {"paths": 5, "length": 6}),
    "traversal (2,2,2,2)": ("traversal", {"branching": (2, 2, 2, 2)}),
}
EARLIER, FLAGS = "88e839c", ("-std=c++17", "-O2", "-shared", "-fPIC", "-ffp-contract=off")
"""The earlier revision, and the flags of its host build."""
KERNELS = "plugins/crt-verify/crt_verify/kernels"
ARMS = ("earlier build", "host build", "softmax, then verdict", "from logits")


def main() -> None:
    arguments = options("Verdicts at 128,000 ids, beside an earlier build, and from logits.", judged=2)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {arguments.threads} threads, medians of {arguments.rounds} rounds")
    rows, numbers = [], dict[str, Spread | int]({"judged": arguments.judged})
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        earlier = earlier_build(Path(folder))
        for tree in TREES:
            taken = verdicts(tree, earlier, arguments)
            milliseconds = {arm: spread([1000 * each for each in taken[arm]]) for arm in ARMS}
            faster = {
                "times the earlier": ratio(taken["earlier build"], taken["host build"]),
                "times softmax first": ratio(taken["softmax, then verdict"], taken["from logits"]),
            }
            cells = (f"{each.median:.2f}" for each in milliseconds.values())
            rows.append((tree, *cells, *(f"{each:.1f}" for each in faster.values())))
            numbers |= {f"{tree}, {arm}, milliseconds": each for arm, each in milliseconds.items()}
            numbers |= {f"{tree}, {name}": each for name, each in faster.items()}
    print(f"{VOCABULARY} ids, batch {BATCH}, {NODES} nodes, milliseconds; the earlier build is of {EARLIER}")
    show(("tree", *ARMS, *faster), rows)
    keep("large_verdicts", [], numbers, arguments)


def verdicts(tree: str, earlier: ctypes.CDLL, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of a verdict by each arm, after the verdicts are compared."""
    name, words = TREES[tree]
    decoder = find("decoder", name).spec(**words).build()
    rounds = recorded_rounds(decoder, VOCABULARY, BATCH, arguments.judged)
    assert rounds[0][1].shape == (BATCH, NODES, VOCABULARY)
    rule, current = host.rule(decoder.verifier.name, **decoder.verifier.keywords), host.library()
    logits = [(trees, p.log(), q.log(), *uniforms) for trees, p, q, *uniforms in rounds]
    room = torch.empty_like(rounds[0][1])

    def built(by: ctypes.CDLL) -> list[Any]:
        host.library = lambda: by
        return [rule.verify(*each) for each in rounds]

    def softmax_first() -> list[Any]:
        host.library = lambda: current
        pairs = zip(logits, rounds, strict=True)
        return [
            rule.verify(trees, torch.softmax(target, -1, out=room), q, *uniforms)
            for (trees, target, *_), (_, _, q, *uniforms) in pairs
        ]

    def from_logits() -> list[Any]:
        host.library = lambda: current
        return [rule.from_logits(*each, sampling=Sampling()) for each in logits]

    acts: dict[str, Callable[[], list[Any]]] = dict(
        zip(ARMS, (partial(built, earlier), partial(built, current), softmax_first, from_logits), strict=True)
    )
    one, other, separate, joint = (list(itertools.chain(*act())) for act in acts.values())
    host.library = lambda: current
    assert all(map(torch.equal, one, other)), "the two builds do not give the same bits"
    unlike = sum(not torch.equal(x, y) for x, y in zip(separate, joint, strict=True))
    assert unlike <= 4, "verdicts from logits are not those after a softmax"  # one, as a test differs at 1e-5
    taken = seconds(acts, arguments.rounds, time.process_time)
    host.library = lambda: current
    return {arm: [each / len(rounds) for each in times] for arm, times in taken.items()}


def earlier_build(folder: Path) -> ctypes.CDLL:
    """The host build of the earlier revision."""

    def git(*words: str) -> str:
        root = Path(__file__).resolve().parents[1]
        return subprocess.run(("git", *words), cwd=root, check=True, capture_output=True, text=True).stdout  # noqa: S607

    for name in git("ls-tree", "--name-only", f"{EARLIER}:{KERNELS}").split():
        if name.endswith((".cuh", ".cpp")):
            (folder / name).write_text(git("show", f"{EARLIER}:{KERNELS}/{name}"))
    library = folder / "host.so"
    subprocess.run((host.COMPILER, *FLAGS, str(folder / "host.cpp"), "-o", str(library)), check=True)
    return ctypes.CDLL(str(library))


if __name__ == "__main__":
    main()
