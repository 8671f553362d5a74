"""What a step of a prior's session costs by its number of nodes: measured once, and kept in the user's cache folder.

Axes: b batch, n ids of a row, t nodes.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import statistics
import tempfile
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from crt_nn.native import kernels
from crt_nn.native.compiler import cache_folder
from crtcore.errors import in_one_line
from crtcore.kinds import Prior

COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Nodes that are measured, up to the most that are asked for."""
BEHIND = 128
"""Ids that are committed before, fewer where a prior has fewer positions."""
WARM, ROUNDS = 1, 5
"""Steps that do not count, and those whose median does."""
_LARGEST = 2**16
"""Bytes of a file that are read."""


class StepCost(NamedTuple):
    """Seconds of a step by its nodes, the root counted."""

    nodes: tuple[int, ...]
    """From 1 on, ascending."""
    seconds: tuple[float, ...]
    origin: str
    """Where the numbers are from."""

    def __call__(self, nodes: int) -> float:
        """Seconds of a step of so many nodes: on a line between those that were measured, and on the last one beyond.

        Units: seconds.
        """
        at = min(max(bisect_left(self.nodes, nodes), 1), len(self.nodes) - 1)
        if not at:
            return self.seconds[0]
        (low, high), (below, above) = self.nodes[at - 1 : at + 1], self.seconds[at - 1 : at + 1]
        return below + (above - below) * (nodes - low) / (high - low)

    def __str__(self) -> str:
        """One line for a record."""
        listed = ", ".join(f"{n}: {1e3 * each:.3g}" for n, each in zip(self.nodes, self.seconds, strict=True))
        return f"milliseconds of a step by its nodes, {self.origin}: {listed}"


def step_cost(prior: Prior, rows: int, most: int, device: torch.device) -> StepCost:
    """The cost of steps of up to `most` nodes in each of `rows` rows, from the cache folder, or measured.

    Measured are steps of one row: one of several costs what one of as many nodes in one row does. A wrapper, which
    has its prior as `prior`, costs what that does.
    A file is used where processor, torch, threads, kernels, type, weights' names, shapes and types, packing and counts
    are the same. One that is missing or damaged means measuring anew; one that cannot be written changes nothing else.
    Cost: six steps for each count, once a machine.
    """
    while hasattr(prior, "prior"):
        prior = prior.prior
    together = counts(min(rows * most, COUNTS[-1]))
    facts = _facts(prior, together, device)
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
    path = cache_folder("crt-verify") / "steps" / f"{name}.json"  # beside what `crt kernels` lists, not among it
    reason = "there was no file yet"
    try:
        return _by_rows(StepCost(*_read(path, facts), f"read from {path}"), rows, most)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RecursionError) as error:
        reason = f"{path} was damaged ({in_one_line(error):.80})"
    seconds = measured(prior, together, device)
    try:
        _write(path, {"facts": facts, "nodes": together, "seconds": seconds})
        kept = f"kept in {path}"
    except OSError as error:
        kept = f"not kept ({in_one_line(error):.80})"
    return _by_rows(StepCost(together, seconds, f"measured, as {reason}, and {kept}"), rows, most)


def _by_rows(one: StepCost, rows: int, most: int) -> StepCost:
    """The cost by the nodes of each row, from that of one row."""
    nodes = counts(most)
    return StepCost(nodes, tuple(one(rows * each) for each in nodes), one.origin)


def counts(most: int) -> tuple[int, ...]:
    """The nodes that are measured for steps of up to `most`."""
    return (*(count for count in COUNTS if count < most), most)


def measured(prior: Prior, nodes: Sequence[int], device: torch.device) -> tuple[float, ...]:
    """Medians of the time of a step of one row: of the processor on a CPU, else of the clock."""
    longest = getattr(prior, "longest", None)
    behind = BEHIND if longest is None else max(min(BEHIND, longest - 2), 0)
    ids = torch.zeros(1, max(behind, *nodes), dtype=torch.int64, device=device)
    session = prior.open(ids[:, :behind], None, capacity=behind + 1, room=max(nodes))
    taken: list[list[float]] = [[] for _ in nodes]
    for _ in range(WARM + ROUNDS):
        for count, times in zip(nodes, taken, strict=True):  # in turn, so that a busy moment hits all of them
            new, star = ids[:, :count], ids.new_full((1, count), -1)  # children of the tip: positions suffice
            began = _now(device)
            session.extend(new, star)
            session.commit(star[:, :0])
            times.append(_now(device) - began)
    return tuple(max(statistics.median(times[WARM:]), 1e-9) for times in taken)


def _now(device: torch.device) -> float:
    if device.type == "cpu":
        return time.process_time()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _facts(prior: Any, nodes: Sequence[int], device: torch.device) -> dict[str, Any]:
    """What the cost depends on."""
    named = dict(prior.named_parameters()) if hasattr(prior, "named_parameters") else {}
    forms = [f"{name} {tuple(weight.shape)} {weight.dtype}" for name, weight in sorted(named.items())]
    cuda = device.type == "cuda"
    return {
        "processor": torch.cuda.get_device_name(device) if cuda else _processor(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "prior": f"{type(prior).__module__}.{type(prior).__qualname__} over {prior.vocabulary} ids",
        "types": sorted({str(weight.dtype) for weight in named.values()}),
        "weights": hashlib.sha256("\n".join(forms).encode()).hexdigest(),
        "packing": str(getattr(prior, "packing", "")),
        "kernels": "" if device.type == "cuda" else kernels.name(),
        "nodes": list(nodes),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _read(path: Path, facts: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The numbers of a file.

    Raises: OSError or ValueError if there is none with these facts.
    """
    with path.open("rb") as file:
        content = json.loads(file.read(_LARGEST).decode())
    if not isinstance(content, dict) or content.get("facts") != facts:
        raise ValueError("it is about something else")
    nodes, seconds = content.get("nodes"), content.get("seconds")
    if nodes != facts["nodes"] or not isinstance(seconds, list) or len(seconds) != len(nodes):
        raise ValueError("it lacks numbers")
    if not all(isinstance(each, float) and math.isfinite(each) and each > 0 for each in seconds):
        raise ValueError("it has numbers that are no times")
    return tuple(nodes), tuple(seconds)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a file whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".new", delete=False, encoding="utf-8") as file:
        json.dump(content, file, indent=1)
    Path(file.name).replace(path)
