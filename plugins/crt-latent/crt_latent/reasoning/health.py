"""Health: how a tokenizer's codes are used over a whole split, and what they keep of the text.

Axes: b batch, z codes of the steps.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from crt_latent.traces import lengths, parted
from crt_run.training.ids import batches, spread
from crtcore.kinds import Dataset, Measurement


def health(dataset: Dataset, tokenizer: Any, device: torch.device) -> dict[str, Measurement]:
    """Codes used and their perplexity over the whole validation split, and how well its text comes back.

    Units: `reconstruction_nats` are those of an id of the steps, and `reconstruction_accuracy` is the share of ids that
    come back, from a decoder that is told the prompt if the tokenizer has one.
    """
    assert dataset.vocabulary is not None
    found, right, nats, ids = [], 0, 0.0, 0
    size = dataset.sizes["validation"]
    with torch.inference_mode():
        for batch in batches(dataset, "validation", spread(size)):
            data = batch.data.to(device)
            encoded = tokenizer(data)
            trace = parted(data, dataset.vocabulary)
            back = parted(tokenizer.read(encoded.ids, trace.prompt), dataset.vocabulary).steps
            width = trace.steps.shape[1]
            back = torch.nn.functional.pad(back, (0, width), value=-1)[:, :width]
            right += int(((back == trace.steps) & (trace.steps >= 0)).sum())
            nats += float((encoded.distortion * lengths(trace.steps)).sum())
            ids += int(lengths(trace.steps).sum())
            found.append(encoded.ids[encoded.ids >= 0])
    counts = torch.unique(torch.cat(found), return_counts=True)[1].double()
    entropy = float(torch.special.entr(counts / counts.sum()).sum())
    return {
        "codes_used": Measurement(float(len(counts)), "codes", size),
        "code_perplexity": Measurement(math.exp(entropy), "codes", size),
        "reconstruction_nats": Measurement(nats / ids, "nats an id", size),
        "reconstruction_accuracy": Measurement(right / ids, "of the ids", size),
    }
