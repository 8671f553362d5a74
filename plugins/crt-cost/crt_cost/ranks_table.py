"""What each rank of a training on several devices holds, sends and takes, as JSON values and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table

from crt_cli.console import say
from crt_cli.layout import show
from crt_cost.devices import NODE, UTILISATION, Devices
from crt_cost.ranks import WAYS, share
from crt_cost.stages import StageCost
from crt_cost.units import lasting, scaled

_TITLES = {"ddp": "DDP", "fsdp2": "FSDP2"}


def ranks(cost: StageCost, devices: Devices) -> dict[str, Any]:
    """The numbers of one rank, by each way; `cost` is that of its share of the batch."""
    compute = devices.kind.seconds(cost.flops, cost.training.precision)
    rate = devices.kind.rate(devices.number)
    ways = {}
    for way in WAYS:
        held = share(cost.memory, cost.layout, devices.number, way)
        *memory, sent = held
        step = None if rate is None else sent / rate
        total = None if step is None else step * cost.steps
        ways[way] = {
            "memory": {**dict(zip(held._fields[:-1], memory, strict=True)), "total": held.memory},
            "bytes_sent_in_step": sent,
            "seconds_sending_in_step": step,
            "seconds": None if total is None else [max(compute, total), compute + total],
        }
    return {"devices": devices.number, "device": devices.name, "batch": cost.training.batch, **ways}


def print_ranks(rows: Sequence[tuple[str, dict[str, Any]]], devices: Devices) -> None:
    """Prints what each of several ranks holds and sends, and what was assumed."""
    click.echo(f"\neach of {devices.number:,} ranks, on one {devices.name}:")
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "by", "weights", "gradients", "optimizer", "activations", "buffers", "memory",
                   "sent in a step", "sending", "time"):  # fmt: skip
        table.add_column(column, justify="left" if column in ("stage", "by") else "right")
    for name, stage in rows:
        for way in WAYS:
            numbers = stage["ranks"][way]
            table.add_row(
                name,
                _TITLES[way],
                *(scaled(size, "B") for size in numbers["memory"].values()),
                scaled(numbers["bytes_sent_in_step"], "B"),
                "?" if numbers["seconds_sending_in_step"] is None else lasting(numbers["seconds_sending_in_step"]),
                _range(numbers["seconds"]),
            )
    show(table)
    for line in _meaning(devices):
        click.echo(line)
    for line in dict.fromkeys(note for name, stage in rows for note in _notes(name, stage, devices)):
        say(f"note: {line}")


def _range(seconds: Sequence[float] | None) -> str:
    if seconds is None:
        return "?"
    least, most = map(lasting, seconds)
    return least if least == most else f"{least} to {most}"


def _meaning(devices: Devices) -> list[str]:
    rate = devices.kind.rate(devices.number)
    links = "whose speed is not known" if rate is None else f"at {rate / 1e9:.3g} GB/s of its data sheet"
    return [
        "DDP: each rank has all weights; a ring sums the gradients. FSDP2: each rank has a share of weights, gradients "
        "and moments; blocks are gathered for each pass, the rest once a step",
        "memory: at the peak, with gathered weights and what is being sent (buffers), without what operations take for "
        "themselves",
        f"sending: around a ring, {links}" + (f", in nodes of {NODE}" if devices.number > NODE else ""),
        f"time: from all sending beside computing to none of it; each device computes at {UTILISATION:.0%} of its peak",
    ]


def _notes(name: str, stage: dict[str, Any], devices: Devices) -> list[str]:
    """What does not divide, is not known, or does not fit."""
    notes, share_of, room = [], stage["ranks"], devices.kind.memory
    if stage["batch"] % devices.number:
        notes.append(
            f"{name}: a batch of {stage['batch']:,} does not divide by {devices.number:,}; "
            f"counted for a rank with {share_of['batch']:,} samples"
        )
    for way in WAYS:
        need = share_of[way]["memory"]["total"]
        if room is not None and need is not None and need > room:
            notes.append(
                f"{name}: a rank of {_TITLES[way]} needs {scaled(need, 'B')}, "
                f"but one {devices.name} has {scaled(room, 'B')}"
            )
    return notes
