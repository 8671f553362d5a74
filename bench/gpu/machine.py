"""The machine that benches run on: a GPU, or in a rehearsal the CPU in its place.

A rehearsal calls what a GPU would run: rules are those of the host build, and what would be captured in a CUDA graph
runs as it is, after a check that it does nothing that a capture forbids.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from typing import Any, Literal, Protocol

import attrs
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from crt_verify.kernels import device as kernels
from crt_verify.kernels import host

REHEARSED = "CRT_GPU_REHEARSED"
"""The environment variable that puts the CPU in place of a GPU, where it is 1."""
SCRATCH = 2**28
"""Bytes that are cleared before a round: several times any cache."""
ASLEEP = 2 * 10**8
"""Cycles, a tenth of a second: the host queues all rounds meanwhile."""


class Machine(Protocol):
    """The machine that a bench runs on."""

    name: str
    device: str
    rehearsed: bool
    blocks: tuple[int, ...]
    """Numbers of blocks that a cluster can have here."""

    def rule(self, word: str, **keywords: Any) -> Any:
        """The kernels of a rule."""

    def microseconds(self, call: Callable[[int], Any], rounds: int) -> float:
        """The median time of a call, whose argument is the number of its round."""

    def captured(self, call: Callable[[], Any], *, opaque: bool = False) -> Callable[[], Any]:
        """Returns a function that runs the call again on the same tensors and returns the same outputs.

        `opaque`: its operators cannot be inspected, as under `torch.compile`.
        """

    def mark(self) -> Any:
        """A mark at this place of the work queue."""

    def between(self, start: Any, stop: Any) -> float:
        """Microseconds from one mark to another, once the work is done."""

    def finish(self) -> None:
        """Waits for all work, and frees unused memory."""


class Gpu:
    """The GPU that is there; times are those of CUDA events."""

    device = "cuda"
    rehearsed = False
    blocks: tuple[int, ...]

    def __init__(self) -> None:
        self.name = torch.cuda.get_device_name()
        self.blocks = kernels.BLOCKS if torch.cuda.get_device_capability() >= (9, 0) else kernels.BLOCKS[:1]

    def rule(self, word: str, **keywords: Any) -> Any:
        """The kernels themselves."""
        return kernels.rule(word, **keywords)

    def microseconds(self, call: Callable[[int], Any], rounds: int) -> float:
        """The median, queued while the GPU sleeps; a scratch is cleared before each, so that no cache keeps rows."""
        call(0)
        scratch = torch.empty(SCRATCH, dtype=torch.int8, device=self.device)
        marks = [[event() for _ in range(2)] for _ in range(rounds)]
        torch.cuda._sleep(ASLEEP)  # type: ignore[no-untyped-call]
        for place, (start, stop) in enumerate(marks):
            scratch.zero_()
            start.record()
            call(place)
            stop.record()
        torch.cuda.synchronize()
        return 1e3 * float(statistics.median(start.elapsed_time(stop) for start, stop in marks))

    def captured(self, call: Callable[[], Any], *, opaque: bool = False) -> Callable[[], Any]:
        """The replay of a CUDA graph of a call."""
        call()  # compiles
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            made = call()

        def again() -> Any:
            graph.replay()
            return made

        return again

    def mark(self) -> Any:
        """An event at this place of the stream."""
        now = event()
        now.record()
        return now

    def between(self, start: Any, stop: Any) -> float:
        """Microseconds between two events."""
        return 1e3 * float(start.elapsed_time(stop))

    def finish(self) -> None:
        """Waits for the GPU, and gives memory back to it."""
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def event() -> Any:
    """A CUDA event with a time."""
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


@attrs.frozen
class HostInPlace:
    """The host build of a rule, started as kernels are."""

    rule: host.HostRule
    layout: Literal["path-serial", "node-parallel"] | None = None
    blocks: int | None = None

    def verify(self, *inputs: Any) -> Any:
        """As `DeviceRule.verify`."""
        return self._started().verify(*inputs)

    def from_logits(self, *inputs: Any, **words: Any) -> Any:
        """As `DeviceRule.from_logits`."""
        return self._started().from_logits(*inputs, **words)

    def _started(self) -> host.HostRule:
        return attrs.evolve(self.rule, layout=self.layout or "path-serial")


class Rehearsal:
    """The CPU in place of a GPU; its times are no estimate of one."""

    name = "a CPU, in a rehearsal"
    device = "cpu"
    rehearsed = True
    blocks: tuple[int, ...] = kernels.BLOCKS

    def rule(self, word: str, **keywords: Any) -> Any:
        """The host build."""
        return HostInPlace(host.rule(word, **keywords))

    def microseconds(self, call: Callable[[int], Any], rounds: int) -> float:
        """The median by wall-clock time."""
        times = []
        for place in range(rounds):
            start = time.perf_counter()
            call(place)
            times.append(time.perf_counter() - start)
        return 1e6 * statistics.median(times)

    def captured(self, call: Callable[[], Any], *, opaque: bool = False) -> Callable[[], Any]:
        """A call that runs again each time, into the tensors that it first returned.

        Raises: Forbidden if a CUDA graph could not hold it.
        """
        call()  # the first call may do anything
        with nullcontext() if opaque else Capture():  # type: ignore[no-untyped-call]
            made = call()

        def again() -> Any:
            for old, new in zip(tensors(made), tensors(call()), strict=True):
                old.copy_(new)
            return made

        return again

    def mark(self) -> Any:
        """Seconds."""
        return time.perf_counter()

    def between(self, start: Any, stop: Any) -> float:
        """Microseconds between two times."""
        return 1e6 * float(stop - start)

    def finish(self) -> None:
        """Does nothing: no work is pending."""


def tensors(made: Any) -> list[Tensor]:
    """The tensors of a result."""
    return [made] if isinstance(made, Tensor) else [each for part in made for each in tensors(part)]


class Forbidden(RuntimeError):
    """An operator that a CUDA graph cannot hold."""


class Capture(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses what a capture forbids: operators that wait for values on the GPU, or copy from the memory of the CPU."""

    supports_higher_order_operators = True

    WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "_unique2", "lift_fresh", "repeat_interleave")

    INDEXES = ("index", "index_put", "index_put_")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs an operator if a capture could hold it."""
        name = func.overloadpacket.__name__
        places = args[1] if name in self.INDEXES else ()
        by_mask = any(isinstance(each, Tensor) and each.dtype == torch.bool for each in places)
        if name in self.WAITS or by_mask:
            raise Forbidden(f"expected what a CUDA graph can hold, got {func}{', by a mask' if by_mask else ''}")
        return func(*args, **(kwargs or {}))


@cache
def here() -> Machine:
    """The machine of this process; where there is no GPU the bench ends, as a success that has written nothing."""
    if os.environ.get(REHEARSED) == "1":
        return Rehearsal()
    if not torch.cuda.is_available():
        print("not run: no GPU")
        sys.exit(0)
    return Gpu()
