"""Training a probe for one weight of its regulariser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from crt_run.training.losses import Loss, penalised
from crt_run.training.order import batch_at, seeded, step_noise
from crt_run.training.trainer import Part, fit
from crt_vib.rate_distortion.measure import noise
from crt_vib.rate_distortion.probe import Probe
from crt_vib.rate_distortion.spec import RateDistortion
from crt_vib.rate_distortion.states import Examples
from crtcore.errors import RunError
from crtcore.kinds import Run, Step
from crtcore.noise import Noise

if TYPE_CHECKING:
    from crtcore.kinds import Outline, Plan

READS = (
    "seed", "dataset", "experiment.evaluations", "prior", "training.prior",
    "experiment.read", "experiment.distance", "experiment.train", "experiment.validation",
    "bottleneck", "regularizer", "training.bottleneck",
)  # fmt: skip
"""What a probe depends on besides its weight."""


def train_probe(
    spec: RateDistortion, plan: Plan, run: Run, weight: float, *, examples: Examples, held: Examples, vocabulary: int
) -> Probe:
    """A probe trained in a stage of its own, from first values that are the same for every weight.

    Raises: RunError if the bottleneck takes features of another width than the states have.
    """
    with seeded(plan.seed, "bottleneck"):
        bottleneck = plan.parts["bottleneck"].build()
        if (width := examples.states.shape[1]) != bottleneck.width:
            raise RunError(
                f"bottleneck: expected one of width {width}, as the prior's hidden states, got {bottleneck.width}; "
                "set its width of features"
            )
        probe = Probe(bottleneck, examples.states.cpu(), vocabulary).to(run.device)
    with seeded(plan.seed, "regularizer"):
        regularizer = plan.parts["regularizer"].build(probe)
    training = plan.training["bottleneck"]
    parts = {"probe": Part(probe, training.optimizer)}
    if isinstance(regularizer, nn.Module):
        parts["regularizer"] = Part(regularizer.to(run.device), plan.parts["regularizer"].optimizer)
    order = Noise(plan.seed, "order of the bottleneck's batches")

    def loss(chosen: Examples, progress: float, own: Noise) -> Loss:
        encoded = probe(chosen.states, chosen.answers, noise=own)
        return penalised(chosen.states, encoded, {"regularizer": (regularizer, weight)}, progress)

    def objective(step: int, progress: float) -> Loss:
        rows = batch_at(order, len(examples.answers), training.batch, step).to(run.device)
        own = step_noise(plan.seed, "bottleneck", step, len(rows), run.device)
        return loss(Examples(*(part[rows] for part in examples)), progress, own)

    def validate() -> float:
        probe.eval()
        with torch.inference_mode():
            score = float(loss(held, 1.0, noise(plan.seed, held.answers, 0)).total)
        probe.train()
        return score

    with run.stage(f"bottleneck-{weight!r}", READS, plan) as stage:
        fit(stage, parts, training, objective, validate=validate, validations=spec.evaluations)
    run.note_backends("bottleneck", probe)
    return probe.eval()


def untrained_step(spec: RateDistortion, plan: Plan, data: Outline) -> Step:
    """A step of a probe on empty states, for counting costs; there is one probe for each weight."""
    bottleneck, batch = plan.parts["bottleneck"].build(), plan.training["bottleneck"].batch
    states, answers = torch.empty(batch, bottleneck.width), torch.zeros(batch, dtype=torch.int64)
    probe = Probe(bottleneck, states, data.vocabulary or 0)
    regularizer = plan.parts["regularizer"].build(probe)
    return Step(
        {"probe": probe, "regularizer": regularizer},
        lambda: penalised(states, probe(states, answers), {"regularizer": (regularizer, 1.0)}, 1.0).total,
        ids=1,
        times=len(spec.weights),
    )
