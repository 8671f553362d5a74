"""The compression experiment: stage 1 alone, rate against distortion."""

from __future__ import annotations

import torch
from torch import Tensor

from crt_basics.experiments.specs import Compression
from crt_run.statistics import averaged
from crt_run.training.ids import batches, spread
from crt_run.training.stages import SHOWN, trained_tokenizer
from crtcore.errors import Stopped
from crtcore.kinds import Dataset, Encoded, Findings, Measurement, Plan, Run, Tokenizer


class CompressionExperiment:
    """A tokenizer, and what its codes of held-out data cost and leave out."""

    def __init__(self, spec: Compression) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains the tokenizer if it is not trained yet, then measures."""
        dataset = plan.parts["dataset"].build()
        run.facts["dataset"] = {"checksum": dataset.checksum, "sizes": dict(dataset.sizes)}
        tokenizer = trained_tokenizer(plan, run, dataset, continuous=True)
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
    for batch in batches(dataset, "test", spread(dataset.sizes["test"])):
        condition = None if batch.condition is None else batch.condition.to(run.device)
        encoded = tokenizer(batch.data.to(run.device), condition)
        if image and not rates:
            _keep(run, batch.data, encoded)
        rates.append(encoded.rate.double().cpu())
        distortions.append(encoded.distortion.double().cpu())
        if image:
            difference = encoded.reconstruction.clamp(-1, 1).cpu().double() - batch.data
            errors.append(difference.square().flatten(1).mean(1))
    numbers = {
        "rate_nats": averaged(torch.cat(rates), "nats"),
        "distortion": averaged(torch.cat(distortions), "squared data units"),
    }
    if image:
        scale, unit = (
            (1.0, "squared data units") if dataset.levels is None else ((dataset.levels - 1) / 2, "squared levels")
        )
        numbers["reconstruction_mse"] = averaged(torch.cat(errors) * scale**2, unit)
    return numbers


def _keep(run: Run, data: Tensor, encoded: Encoded) -> None:
    """Keeps some samples for the report."""
    run.keep({"real": data[:SHOWN], "reconstructed": encoded.reconstruction[:SHOWN].clamp(-1, 1)})
