"""The costs of every point's stages, as JSON values and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table

from crt_cli.console import say
from crt_cli.layout import show
from crt_cost.devices import UTILISATION, Devices
from crt_cost.outline import outlined
from crt_cost.ranks_table import print_ranks, ranks
from crt_cost.stages import StageCost, costs, shared
from crt_cost.units import lasting, scaled
from crt_run.faults import at_fault
from crt_run.training.outline import Outline
from crtcore.compose.study import Study
from crtcore.errors import RunError
from crtcore.kinds import DatasetSpec, Plan


def costed(study: Study, devices: Devices | None) -> list[list[dict[str, Any]]]:
    """The costs of each point's stages; points that differ in their seed alone are counted once.

    Raises: RunError if a part cannot be built, whatever stops it.
    """
    outlines: dict[DatasetSpec, Outline] = {}
    groups: dict[str, list[dict[str, Any]]] = {}
    for point in study.points:
        if point.group not in groups:
            try:
                groups[point.group] = _of_point(point.plan, outlines, devices)
            except RunError:
                raise
            except (Exception, SystemExit, GeneratorExit) as error:
                raise RunError(f"{point.label}: the costs cannot be counted: {at_fault(error)}") from error
    return [groups[point.group] for point in study.points]


def _of_point(plan: Plan, outlines: dict[DatasetSpec, Outline], devices: Devices | None) -> list[dict[str, Any]]:
    if not isinstance(spec := plan.parts.get("dataset"), DatasetSpec):
        raise RunError(f"{plan.name}: expected an experiment with a dataset, got none; its costs cannot be counted")
    data = outlines.setdefault(spec, outlines.get(spec) or outlined(spec))
    whole = costs(plan, data)
    if devices is None or devices.number == 1:
        return [_plain(cost, data, devices) for cost in whole]
    parts = costs(shared(plan, devices.number), data)
    return [
        {**_plain(cost, data, None), "ranks": ranks(part, devices)} for cost, part in zip(whole, parts, strict=True)
    ]


def _plain(cost: StageCost, data: Outline, devices: Devices | None) -> dict[str, Any]:
    training = cost.training
    return {
        "stage": cost.stage,
        "steps": cost.steps,
        "batch": training.batch,
        "precision": training.precision,
        "parameters": dict(cost.parameters),
        "flops": cost.flops,
        "ids_per_sample": cost.ids,
        "ids_in_training": cost.ids_in_training,
        "memory": cost.memory._asdict(),
        "seconds": None if devices is None else devices.kind.seconds(cost.flops, training.precision),
        "not_traced": cost.obstacle,
        "left_out": list(cost.left_out),
        "not_known": data.unknown,
    }


def print_costs(study: Study, every_point: Sequence[list[dict[str, Any]]], devices: Devices | None) -> None:
    """Prints the costs of each stage, and what the columns mean."""
    device = devices if devices and devices.number == 1 else None
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "parameters", "ids of a sample", "ids in training", "FLOPs", "weights", "gradients",
                   "optimizer", "activations", *(["time"] if device else [])):  # fmt: skip
        table.add_column(column, justify="left" if column == "stage" else "right")
    by_group = {point.group: stages for point, stages in zip(study.points, every_point, strict=True)}
    rows = [
        (f"{group}: {stage['stage']}" if study.swept else stage["stage"], stage)
        for group, stages in by_group.items()
        for stage in stages
    ]
    for name, stage in rows:
        table.add_row(
            name,
            scaled(sum(stage["parameters"].values())),
            str(stage["ids_per_sample"]),
            scaled(stage["ids_in_training"]),
            f"{stage['flops']:.3g}",
            *(scaled(size, "B") for size in stage["memory"].values()),
            *([lasting(stage["seconds"])] if device else []),
        )
    show(table)
    for line in _meaning(device):
        click.echo(line)
    if devices and not device:
        print_ranks(rows, devices)
    for line in dict.fromkeys(note for _, stage in rows for note in _notes(stage, device)):
        say(f"note: {line}")


def _meaning(device: Devices | None) -> list[str]:
    lines = [
        "FLOPs: of all training steps, forward and backward, counted on one step; encoding, validation and generation "
        "are not included, and a run trains a stage that points share once",
        "activations: an estimate of what a step keeps for its gradient",
    ]
    if device:
        peaks = f"{device.kind.float32 / 1e12:.3g} (float32) or {device.kind.bfloat16 / 1e12:.3g} (bfloat16)"
        lines.append(f"time: on one {device}, assuming {UTILISATION:.0%} of its peak, {peaks} TFLOP/s, and fast data")
    return lines


def _notes(stage: dict[str, Any], device: Devices | None) -> list[str]:
    """What the numbers of a stage do not include, and whether it fits into memory."""
    notes = []
    if stage["not_traced"]:
        notes.append(
            f"{stage['stage']}: FLOPs are estimated as 6 times parameters times ids, because one step could not be "
            f"traced ({stage['not_traced']}); convolutions take far more"
        )
    notes += [f"{stage['stage']}: counted without {reason}" for reason in stage["left_out"]]
    if stage["not_known"]:
        notes.append(stage["not_known"])
    room = device.kind.memory if device else None
    need = sum(size for size in stage["memory"].values() if size is not None)
    if room is not None and need > room:
        notes.append(f"{stage['stage']}: needs {scaled(need, 'B')}, but one {device} has {scaled(room, 'B')}")
    return notes
