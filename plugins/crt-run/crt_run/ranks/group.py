"""A group of ranks: processes that train one model together, and know when one of them fails."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore

from crt_run.ranks.alone import ALONE, Together
from crt_run.ranks.environment import Place, prefer_loopback
from crtcore.errors import RunError, in_one_line

START = 60
"""Seconds that ranks wait for each other when they start."""
STEP = 300
"""Seconds that a rank waits in a training step for one that lives and does not answer."""
PATIENCE = timedelta(days=1)
"""How long ranks wait for another's other work, such as reading data or saving; one that ends is noticed at once."""
BLAME = 3.0
"""Seconds in which a rank that lost another waits for that one to say why."""
LOOK = 0.1
"""Seconds between looks at the store."""


class Lost(RunError):
    """Another rank ended, or does not answer; that one may have said why."""


class Group:
    """This process among the ranks."""

    def __init__(self, place: Place, store: Any, backend: str) -> None:
        self.place = place
        self.rank = place.rank
        self.size = place.size
        self.backend = backend
        self.store = store
        self._orders = 0
        self._patient = distributed.new_group(backend="gloo", timeout=PATIENCE)

    @property
    def first(self) -> bool:
        """True for the rank that writes and prints."""
        return self.rank == 0

    def meet(self) -> None:
        """Waits, however long it takes, until every rank is here."""
        distributed.barrier(group=self._patient)

    def any(self, value: bool) -> bool:
        """True if `value` is true on one rank."""
        flag = torch.tensor([float(value)])
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def of_first(self, content: bytes) -> bytes:
        """`content` of the first rank, however long it takes to have it."""
        size = torch.tensor([len(content)])
        distributed.broadcast(size, 0, group=self._patient)
        raw = torch.frombuffer(bytearray(content), dtype=torch.uint8) if self.first and content else None
        raw = torch.empty(int(size), dtype=torch.uint8) if raw is None else raw
        if int(size):
            distributed.broadcast(raw, 0, group=self._patient)
        return raw.numpy().tobytes()

    def same(self, what: str, value: str, advice: str) -> None:
        """Checks that all ranks have the same `value`, a short text.

        Raises: RunError on every rank that has another one than the first.
        """
        expected = self.of_first(value.encode()).decode()
        wrong = self.any(value != expected)
        if value != expected:
            raise RunError(f"rank {self.rank}: expected {what} of rank 0 ({expected}), got {value}; {advice}")
        if wrong:
            raise Lost(f"rank {self.rank}: another rank has other values than rank 0: {what}")

    def order(self, order: dict[str, Any] | None) -> None:
        """Gives the other ranks something to do; None: there is nothing more."""
        self.store.set(f"order {self._orders}", json.dumps(order))
        self._orders += 1

    def end(self) -> None:
        """Lets the other ranks end, and waits for them: the texts end with the rank that has them."""
        self.order(None)
        with noticing(self.rank):
            self.meet()

    def orders(self, stopping: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        """What the first rank orders, until there is nothing more, or `stopping` returns True.

        Raises: Lost if another rank has failed.
        """
        while True:
            key = f"order {self._orders}"
            while not self._set(key):
                if stopping():
                    return
                if self._set("failed"):
                    raise Lost("another rank failed")
                time.sleep(LOOK)
            order = json.loads(self.store.get(key))
            if order is None:
                with noticing(self.rank):
                    self.meet()
                return
            self._orders += 1
            yield order

    def _set(self, key: str) -> bool:
        with noticing(self.rank):
            return bool(self.store.check([key]))

    def blamed(self, error: BaseException) -> bool:
        """True if this rank is the first to fail, so that it says why; others are quiet."""
        end = time.monotonic() + (BLAME if isinstance(error, Lost) else 0)
        try:
            while time.monotonic() < end and not self.store.check(["failed"]):
                time.sleep(LOOK)
            return bool(self.store.compare_set("failed", "", str(self.rank)).decode() == str(self.rank))
        except (RuntimeError, ValueError):  # the store ended with the rank that had it, which said why
            return False


_current: Together = ALONE


def current() -> Together:
    """The ranks that train together now."""
    return _current


@contextmanager
def together(group: Group) -> Iterator[None]:
    """Inside, every training is one of all ranks.

    Raises: Lost if another rank ends or does not answer.
    """
    global _current  # noqa: PLW0603
    _current = group
    try:
        with noticing(group.rank), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")  # of 1x1 convolutions
            yield
    finally:
        _current = ALONE


@contextmanager
def noticing(rank: int) -> Iterator[None]:
    """Turns the errors of torch's communication into one sentence.

    Raises: Lost.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error).lower():
            raise
        raise Lost(
            f"rank {rank}: lost another rank, which ended, or did not answer for {STEP} s "
            f"({in_one_line(error)[:200]}); what is finished is kept, and the same command goes on from there"
        ) from error


def joined(place: Place) -> Group:
    """Meets the other ranks: by gloo, and by NCCL on CUDA, where each has a device of its own.

    Raises: RunError if they do not all come within `START` seconds, or a rank has no device.
    """
    backend = "gloo"
    if torch.cuda.is_available():
        if place.local >= (devices := torch.cuda.device_count()):
            raise RunError(
                f"rank {place.rank}: expected a CUDA device for each rank of this machine, got {devices}; "
                f"start {devices} with --nproc-per-node {devices}, or hide the devices with CUDA_VISIBLE_DEVICES="
            )
        torch.cuda.set_device(place.local)
        backend = "cpu:gloo,cuda:nccl"
    prefer_loopback(place.host)
    store = _store(place)
    _meet(store, place)
    try:
        distributed.init_process_group(
            backend, store=store, rank=place.rank, world_size=place.size, timeout=timedelta(seconds=STEP)
        )
        return Group(place, store, "NCCL" if "nccl" in backend else "gloo")
    except RuntimeError as error:
        raise RunError(f"rank {place.rank}: cannot connect to the other ranks ({in_one_line(error)[:200]})") from error


def _store(place: Place) -> Any:
    """Where ranks leave short texts; torchrun has it, else the first rank."""
    from torch.distributed.rendezvous import rendezvous

    try:
        ((store, _, _),) = [next(iter(rendezvous("env://", timeout=timedelta(seconds=START))))]
    except RuntimeError as error:
        text = in_one_line(error)
        what = f"rank {place.rank}: cannot meet the other ranks at {place.host}, port {place.port}"
        if "EADDRINUSE" in text or "address already in use" in text:
            raise RunError(
                f"{what}: another program uses this port; choose another with --master-port (or MASTER_PORT)"
            ) from error
        raise RunError(
            f"{what} within {START} s ({text[:200]}); start all {place.size} ranks, each with the address of the first"
        ) from error
    return PrefixStore(f"crt {place.attempt}", store)


def _meet(store: Any, place: Place) -> None:
    """Raises: RunError if a rank is missing after `START` seconds."""
    end = time.monotonic() + START
    with noticing(place.rank):
        here = store.add("here", 1)
        while here < place.size:
            if time.monotonic() > end:
                raise RunError(
                    f"rank {place.rank}: {here} of {place.size} ranks came within {START} s; start all of them, "
                    "or give WORLD_SIZE (torchrun: --nproc-per-node, --nnodes) their number"
                )
            time.sleep(LOOK)
            here = store.add("here", 0)
        if here > place.size:
            raise RunError(
                f"rank {place.rank}: more than {place.size} ranks came to {place.host}, port {place.port}: another "
                "program uses this port; choose another with --master-port (or MASTER_PORT)"
            )
