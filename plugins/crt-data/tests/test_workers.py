"""Processes that decode ahead: the same batches, clear errors, and no process that outlives its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from crt_data.images import Images
from crt_data.pictures import paint_many
from crt_data.specs import ImageFolder, ImageParquet, ImageShards, ImageZip
from crt_data.workers import SLOTS
from crtcore.errors import RunError
from crtcore.registry import describe, discover

SPECS = (
    ImageFolder(folder="set by the test", size=8, crops=2),
    ImageShards(folder="set by the test", size=8, crops=2),
    ImageZip(file="set by the test", size=8, crops=2),
    ImageParquet(folder="set by the test", size=8, crops=2),
)
DEADLINE = 20.0
"""Seconds that a process has to end on a loaded machine."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    paint_many(tmp_path / "train", ("ape", "bee"), 100)
    paint_many(tmp_path / "val", ("ape", "bee"), 5)
    return tmp_path


def build(folder: Path, workers: int) -> Any:
    return ImageFolder(folder=str(folder), size=8, workers=workers).build()


def running(process: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + DEADLINE
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_batches_are_the_same_with_any_number_of_workers(spec: Any, tmp_path: Path) -> None:
    spec = spec.example_in(tmp_path)
    alone, *others = (attrs.evolve(spec, workers=workers).build() for workers in (0, 1, 2))
    generator = torch.Generator().manual_seed(0)
    sizes = (0, 7, 7, 1, 2, 12, 7, 0, 7)
    batches = [torch.randint(alone.sizes["train"], (rows,), generator=generator) for rows in sizes]

    for dataset in others:
        for step, indices in enumerate(batches):
            for later in batches[step : step + SLOTS]:
                dataset.prefetch("train", later)
            one, other = dataset.take("train", indices), alone.take("train", indices)
            assert torch.equal(one.data, other.data)
            assert torch.equal(one.class_ids, other.class_ids)


def test_what_was_decoded_ahead_is_what_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = build(folder, 2)
    batches = [("train", torch.arange(5) + step) for step in range(3)] + [("test", torch.arange(5))]
    expected = [build(folder, 0).take(*batch).data for batch in batches]
    for batch in batches:
        dataset.prefetch(*batch)
    monkeypatch.setattr(Images, "_decoded", lambda *_: pytest.fail("decoded again"))

    taken = [dataset.take(*batch).data for batch in reversed(batches)]

    assert all(torch.equal(one, other) for one, other in zip(reversed(taken), expected, strict=True))


def test_what_nobody_takes_makes_room(folder: Path) -> None:
    dataset, alone = build(folder, 2), build(folder, 0)
    batches = [torch.arange(4) + step for step in range(3 * SLOTS)]

    for indices in batches:
        dataset.prefetch("train", indices)

    assert all(
        torch.equal(dataset.take("train", each).data, alone.take("train", each).data) for each in reversed(batches)
    )


def test_a_batch_is_kept_while_later_ones_are_decoded(folder: Path) -> None:
    dataset = build(folder, 1)
    dataset.prefetch("train", torch.arange(4))
    first = dataset.take("train", torch.arange(4)).data
    before = first.clone()

    for step in range(2 * SLOTS):
        dataset.prefetch("train", torch.arange(4) + 50 + step)
        dataset.take("train", torch.arange(4) + 50 + step)

    assert torch.equal(first, before)


def test_an_image_that_cannot_be_read_is_named_when_its_batch_is_taken(folder: Path) -> None:
    (folder / "val" / "ape" / "0001.png").write_bytes(b"no image")
    dataset = build(folder, 2)
    good, bad = torch.tensor([0, 5, 6, 7]), torch.tensor([2, 3, 4, 1])
    dataset.prefetch("test", bad)
    dataset.prefetch("test", good)

    with pytest.raises(RunError, match=r"image-folder: cannot read .*/val/ape/0001\.png \(.+\); replace it"):
        dataset.take("test", bad)
    assert len(dataset.take("test", good).data) == 4


def test_indices_are_checked_before_anything_is_decoded(folder: Path) -> None:
    dataset = build(folder, 1)

    with pytest.raises(IndexError, match="expected indices from 0 to 9, got 10"):
        dataset.prefetch("test", torch.tensor([10]))
    with pytest.raises(ValueError, match="expected a split"):
        dataset.prefetch("tests", torch.tensor([0]))


@pytest.mark.parametrize("taken", [True, False])
def test_a_process_that_dies_is_one_error(folder: Path, taken: bool) -> None:
    dataset = build(folder, 2)
    dataset.prefetch("train", torch.arange(4))
    if taken:
        dataset.take("train", torch.arange(4))
    first, second = dataset._workers.processes
    os.kill(second, signal.SIGKILL)
    assert wait_for(lambda: not running(second))

    def go_on() -> None:
        for step in range(2):
            dataset.prefetch("train", torch.arange(4) + step)
            dataset.take("train", torch.arange(4) + step)

    with pytest.raises(
        RunError, match=r"image-folder: process 2 of 2 that decodes images ended by SIGKILL; .* set `workers` to fewer"
    ):
        go_on()
    assert wait_for(lambda: not running(first))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_all_processes_leave_those_that_decode(folder: Path, number: int) -> None:
    """The owner gets the signal too, saves, and ends them."""
    dataset = build(folder, 1)
    dataset.prefetch("train", torch.arange(4))
    dataset.take("train", torch.arange(4))
    os.kill(dataset._workers.processes[0], number)

    dataset.prefetch("train", torch.arange(5))

    assert len(dataset.take("train", torch.arange(5)).data) == 5


def test_processes_end_with_the_dataset(folder: Path) -> None:
    dataset = build(folder, 2)
    dataset.prefetch("train", torch.arange(4))
    processes = dataset._workers.processes
    assert all(map(running, processes))

    del dataset

    assert wait_for(lambda: not any(map(running, processes)))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_their_owner(folder: Path, number: int) -> None:
    text = (
        "import sys, time, torch\nfrom crt_data.specs import ImageFolder\n"
        "dataset = ImageFolder(folder=sys.argv[1], size=8, workers=2).build()\n"
        "dataset.prefetch('train', torch.arange(50))\n"
        "print(*dataset._workers.processes, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", text, str(folder)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        processes = [int(each) for each in owner.stdout.readline().split()]
        assert len(processes) == 2
        owner.send_signal(number)

    assert wait_for(lambda: not any(map(running, processes)))


def test_processes_that_decode_need_no_torch() -> None:
    text = "import sys, crt_data.worker\nassert not {'torch', 'click', 'rich'} & set(sys.modules)"

    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0


def test_workers_are_no_part_of_what_a_result_depends_on() -> None:
    one, other = (ImageFolder(folder="data", workers=workers) for workers in (0, 4))
    registry = discover()

    assert describe(one, registry) != describe(other, registry)
    assert describe(one, registry, cosmetic=False) == describe(other, registry, cosmetic=False)


def test_an_epoch_goes_on_in_its_middle(folder: Path) -> None:
    """What a step takes depends on its number alone, whatever was decoded before a stop."""

    def taken(dataset: Any, first: int) -> list[Tensor]:
        steps = [order[start : start + 16] for start in range(16 * first, len(order), 16)]
        for each in steps[:3]:
            dataset.prefetch("train", each)
        return [dataset.take("train", each).data for each in steps]

    whole = build(folder, 2)
    order = torch.randperm(whole.sizes["train"], generator=torch.Generator().manual_seed(0))

    again = taken(build(folder, 1), 5)

    assert all(torch.equal(one, other) for one, other in zip(taken(whole, 0)[5:], again, strict=True))
