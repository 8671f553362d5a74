"""The cost of what every point generates, for experiments that say how much: FLOPs of one pass over each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import torch
from rich.table import Table

from crt_cli.layout import show
from crt_cost.blank import blank
from crt_cost.devices import Devices
from crt_cost.outline import opened
from crt_cost.trace import flop_counter
from crt_cost.units import lasting, scaled
from crt_run.generations import Generates, Generation
from crt_run.prompts import prompt_lengths
from crt_run.training.outline import Outline
from crtcore.compose.study import Study
from crtcore.kinds import Dataset, Plan

MEANING = (
    "FLOPs of generation: each id of a row passes the prior once, so drafts and the calls that they save are not "
    "included"
)
BOUND = (
    "time of generation: by FLOPs alone, on one device, as rows are not shared; where few are generated at once, "
    "reading the weights takes longer"
)


def generated(study: Study, devices: Devices | None) -> list[list[dict[str, Any]]]:
    """The costs of what each point generates; points that differ in their seed alone are counted once.

    Raises: RunError if a prior cannot be built.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for point in study.points:
        if point.group not in groups:
            groups[point.group] = _of_point(point.plan, devices)
    return [groups[point.group] for point in study.points]


def _of_point(plan: Plan, devices: Devices | None) -> list[dict[str, Any]]:
    if not isinstance(plan.experiment, Generates):
        return []
    data, dataset = opened(plan.parts["dataset"])
    generations = plan.experiment.generations(plan)
    if dataset is not None and (prompt := _prompt(dataset)) is not None:
        generations = [each._replace(prompt=prompt) for each in generations]
    return [_cost(plan, each, data, devices) for each in generations]


def _prompt(dataset: Dataset) -> int | None:
    """The mean ids of a prompt of the test split; None if the dataset does not say."""
    weight = dataset.take("test", torch.arange(dataset.sizes["test"])).weight
    return None if weight is None else round(float(prompt_lengths(weight).double().mean()))


def _cost(plan: Plan, each: Generation, data: Outline, devices: Devices | None) -> dict[str, Any]:
    ids = each.prompt + each.length
    with blank(), torch.no_grad():
        prior = plan.parts[each.role].build(data.vocabulary, ids, data.classes)
        weights = sum(weight.numel() for weight in prior.parameters())
        with flop_counter() as counter:
            prior(torch.zeros(1, ids, dtype=torch.int64))
    flops = float(counter.get_total_flops() * each.samples)
    return {
        "role": each.role,
        "parameters": weights,
        "rows": each.samples,
        "ids": each.samples * each.length,
        "flops": flops,
        "weights": weights * (2 if each.precision == "bfloat16" else 4),
        "seconds": None if devices is None else devices.kind.seconds(flops, each.precision),
    }


def print_generations(study: Study, every_point: Sequence[list[dict[str, Any]]], devices: Devices | None) -> None:
    """Prints what is generated, and what the columns mean; nothing where nothing is."""
    by_group = {point.group: rows for point, rows in zip(study.points, every_point, strict=True)}
    if not any(by_group.values()):
        return
    table = Table(box=None, pad_edge=False)
    for column in ("generation", "parameters", "rows", "ids", "FLOPs", "weights", *(["time"] if devices else [])):
        table.add_column(column, justify="left" if column == "generation" else "right")
    for group, rows in by_group.items():
        for row in rows:
            table.add_row(
                f"{group}: {row['role']}" if study.swept else row["role"],
                scaled(row["parameters"]), scaled(row["rows"]), scaled(row["ids"]), f"{row['flops']:.3g}",
                scaled(row["weights"], "B"), *([lasting(row["seconds"])] if devices else []),
            )  # fmt: skip
    show(table)
    click.echo(MEANING)
    if devices:
        click.echo(BOUND)
