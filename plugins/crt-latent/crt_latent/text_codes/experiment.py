"""The experiment `text-codes`: a tokenizer of text, a prior over its codes, and bits of held-out text.

Axes: b batch, k codes of a row, v codes of the codebook.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from crt_latent.text_chunks.restored import restored
from crt_latent.text_codes.spec import TextCodes
from crt_latent.traces import lengths, split_trace
from crt_run.likelihood import scored
from crt_run.statistics import ratio
from crt_run.training.ids import batches, spread
from crt_run.training.objective import Inputs, trained
from crt_run.training.plans import around
from crt_run.training.stages import build_dataset
from crtcore.errors import Stopped
from crtcore.kinds import Dataset, Findings, Measurement, Plan, Prior, Run

UNIT = "bits an id of the text"


class TextCodesExperiment:
    """Trains a tokenizer and a prior over its codes, and scores both on held-out text."""

    def __init__(self, spec: TextCodes) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains the stages that are not finished, then measures."""
        dataset = build_dataset(plan, run)
        first, last = plan.stages
        tokenizer = trained(Inputs(first, dataset, run=run))
        bare = trained(Inputs(last, dataset, {"tokenizer": tokenizer}, run))
        prior = around(plan.parts["prior"], bare, dataset.classes)
        if run.stopping():
            raise Stopped
        with torch.inference_mode():
            numbers = measured(dataset, tokenizer, prior, run.device, run.stopping)
        for role, part in (("tokenizer", tokenizer), ("prior", prior)):
            run.note_backends(role, part)
        return Findings(numbers)


def measured(
    dataset: Dataset, tokenizer: Any, prior: Prior, device: torch.device, stopping: Callable[[], bool]
) -> dict[str, Measurement]:
    """Measures the test split.

    Units: bits for each id of the text, with 95 % intervals over samples, which are neighbours if they are windows of
    one document.
    Raises: Stopped between two batches.
    """
    assert dataset.vocabulary is not None
    nats, left, correct, text = (torch.zeros(0, dtype=torch.float64) for _ in range(4))
    counts = torch.zeros(tokenizer.vocabulary, dtype=torch.int64)
    for batch in batches(dataset, "test", spread(dataset.sizes["test"])):
        if stopping():
            raise Stopped
        data = batch.data.to(device)
        class_ids = None if batch.class_ids is None else batch.class_ids.to(device)
        encoded, trace = tokenizer(data, class_ids), split_trace(data, dataset.vocabulary)
        length = lengths(trace.steps)
        nats = _longer(nats, scored(prior, encoded.ids, class_ids))
        left = _longer(left, encoded.distortion * length)
        correct = _longer(correct, restored(tokenizer, encoded.ids, trace, dataset.vocabulary))
        text = _longer(text, length)
        counts += torch.bincount(encoded.ids[encoded.ids >= 0].cpu(), minlength=len(counts))
    shares = counts.double() / counts.sum()
    size, entropy = len(text), float(torch.special.entr(shares).sum()) / math.log(2)
    bits = {"two_part_bits": nats + left, "code_bits": nats, "text_given_codes_bits": left}
    ids = text.tolist()
    return {
        **{name: ratio((each / math.log(2)).tolist(), ids, UNIT) for name, each in bits.items()},
        "reconstruction_accuracy": ratio(correct.tolist(), ids, "of the ids"),
        "codes_used": Measurement(float((counts > 0).sum()), "codes", size),
        "code_entropy_bits": Measurement(entropy, "bits per code", size),
    }


def _longer(values: Tensor, more: Tensor) -> Tensor:
    return torch.cat((values, more.double().cpu()))
