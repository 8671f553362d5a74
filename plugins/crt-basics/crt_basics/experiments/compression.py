"""The compression experiment: stage 1 alone, rate and distortion."""

from __future__ import annotations

import torch
from torch import Tensor

from crt_basics.experiments.specs import Compression
from crt_run.likelihood import CHUNK
from crt_run.statistics import averaged
from crt_run.training.ids import batches, spread
from crt_run.training.objective import Inputs, trained
from crt_run.training.sampling import SHOWN
from crt_run.training.stages import build_dataset
from crtcore.errors import Stopped
from crtcore.kinds import Dataset, Encoded, Findings, Measurement, Plan, Run, Tokenizer
from crtcore.noise import Noise


class CompressionExperiment:
    """Trains a tokenizer, and measures the rate and the distortion of held-out data."""

    def __init__(self, spec: Compression) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains the tokenizer if it is not trained yet, then measures."""
        dataset = build_dataset(plan, run)
        tokenizer = trained(Inputs(plan.stages[0], dataset, run=run))
        if run.stopping():
            raise Stopped
        with torch.inference_mode():
            numbers = _measured(plan, run, dataset, tokenizer)
        run.note_backends("tokenizer", tokenizer)
        return Findings(numbers)


def _measured(plan: Plan, run: Run, dataset: Dataset, tokenizer: Tokenizer) -> dict[str, Measurement]:
    image = plan.parts["dataset"].form == "image"
    rates: list[Tensor] = []
    distortions: list[Tensor] = []
    errors: list[Tensor] = []
    own = Noise(plan.seed, "codes of held-out samples")
    rows = spread(dataset.sizes["test"])
    seeds = torch.split(own.seeds(rows).to(run.device), CHUNK)
    for batch, seed in zip(batches(dataset, "test", rows), seeds, strict=True):
        class_ids = None if batch.class_ids is None else batch.class_ids.to(run.device)
        encoded = tokenizer(batch.data.to(run.device), class_ids, noise=Noise(seed, own.stream))
        if image and not rates:
            _keep(run, batch.data, encoded)
        rates.append(encoded.rate.double().cpu())
        distortions.append(encoded.distortion.double().cpu())
        if image:
            difference = encoded.reconstruction.clamp(-1, 1).cpu().double() - batch.data
            errors.append(difference.square().flatten(1).mean(1))
    numbers = {
        "rate_nats": averaged(torch.cat(rates), "nats"),
        "distortion": averaged(torch.cat(distortions), plan.parts["tokenizer"].distortion_unit),
    }
    if image:
        scale, unit = error_scale(dataset.levels)
        numbers["reconstruction_mse"] = averaged(torch.cat(errors) * scale**2, unit)
    return numbers


def error_scale(levels: int | None) -> tuple[float, str]:
    """What turns an error of data from -1 to 1 into levels, and the unit of its square; data units without levels."""
    return (1.0, "squared data units") if levels is None else ((levels - 1) / 2, "squared levels")


def _keep(run: Run, data: Tensor, encoded: Encoded) -> None:
    """Saves some samples for the report."""
    run.keep({"real": data[:SHOWN], "reconstructed": encoded.reconstruction[:SHOWN].clamp(-1, 1)})
