"""Training a probe for one weight of its regulariser."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from crt_run.training.losses import Loss, penalised
from crt_run.training.objective import Inputs, Objective
from crt_run.training.order import batch_at, seeded, step_noise
from crt_run.training.trainer import Part
from crt_vib.rate_distortion.measure import noise
from crt_vib.rate_distortion.probe import Probe
from crt_vib.rate_distortion.states import Examples, declared, read_examples
from crtcore.errors import RunError
from crtcore.noise import Noise


def examples(inputs: Inputs) -> dict[str, Examples]:
    """States and answers of the training and the validation split.

    Raises: RunError if a split has fewer than two rows, Stopped between two batches.
    """
    assert inputs.run is not None
    reading = declared(inputs.plan)
    prior = inputs.result("prior")
    return {split: read_examples(reading, prior, inputs.dataset, split, inputs.run) for split in reading.rows}


def probe_objective(inputs: Inputs, weight: float) -> Objective:
    """The objective of a probe for one weight of its regulariser; first values are the same for every weight.

    Where costs are counted, it is trained on empty states.
    Raises: RunError if the bottleneck takes features of another width than the states have.
    """
    return objective_of(inputs, weight, inputs.dataset.vocabulary)


def objective_of(
    inputs: Inputs, weight: float, answers: int, predictor: Callable[[int], nn.Module] | None = None
) -> Objective:
    """The objective of a probe that predicts one of so many answers, by a predictor as `Probe` takes it.

    Raises: RunError as `probe_objective` does.
    """
    plan, material = inputs.plan, inputs.material
    seed, training, evaluations = plan["seed"], plan["training.bottleneck"], plan["experiment.evaluations"]
    with seeded(seed, "bottleneck"):
        bottleneck = plan["bottleneck"].build()
        known = blank(bottleneck.width, training.batch) if material is None else material["train"]
        if (width := known.states.shape[1]) != bottleneck.width:
            raise RunError(
                f"bottleneck: expected one of width {width}, as the prior's hidden states, got {bottleneck.width}; "
                "set its width of features"
            )
        probe = inputs.placed(Probe(bottleneck, known.states.cpu(), answers, predictor))
    with seeded(seed, "regularizer"):
        regularizer = plan["regularizer"].build(probe)
    parts = {"probe": Part(probe, training.optimizer)}
    if isinstance(regularizer, nn.Module):
        parts["regularizer"] = Part(inputs.placed(regularizer), plan["regularizer"].optimizer)
    order = Noise(seed, "order of the bottleneck's batches")

    def of(chosen: Examples, progress: float, own: Noise) -> Loss:
        encoded = probe(chosen.states, chosen.answers, noise=own)
        return penalised(chosen.states, encoded, {"regularizer": (regularizer, weight)}, progress)

    def loss(step: int, progress: float) -> Loss:
        rows = batch_at(order, len(known.answers), training.batch, step).to(inputs.device)
        own = step_noise(seed, "bottleneck", step, len(rows), inputs.device)
        return of(Examples(*(part[rows] for part in known)), progress, own)

    def validate() -> float:
        probe.eval()
        with torch.inference_mode():
            held = material["validation"]
            score = float(of(held, 1.0, noise(seed, held.answers, 0)).total)
        probe.train()
        return score

    units = {"distortion": "nats an answer", "validation": "nats an answer"}
    return Objective(parts, loss, 1, validate, evaluations, units=units)


def blank(width: int, rows: int) -> Examples:
    """States of that width, and answers, without meaning."""
    return Examples(torch.empty(rows, width), torch.zeros(rows, dtype=torch.int64))
