"""Health of a tokenizer: use of its codes over a whole split, and reconstruction of the text.

Axes: b batch, z codes of the steps.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from crt_latent.text_chunks.restored import restored
from crt_latent.traces import lengths, split_trace
from crt_run.training.ids import batches, spread
from crtcore.kinds import Dataset, Measurement


def health(dataset: Dataset, tokenizer: Any, device: torch.device) -> dict[str, Measurement]:
    """Measures codes used, their perplexity and the reconstruction over the whole validation split.

    Units: `reconstruction_nats` in nats for each id of the steps, `reconstruction_accuracy` as a share of ids; the
    decoder reads the prompt if the tokenizer is `prompted`.
    """
    assert dataset.vocabulary is not None
    used, correct, nats, ids = [], 0, 0.0, 0
    size = dataset.sizes["validation"]
    with torch.inference_mode():
        for batch in batches(dataset, "validation", spread(size)):
            data = batch.data.to(device)
            encoded = tokenizer(data)
            trace = split_trace(data, dataset.vocabulary)
            correct += int(restored(tokenizer, encoded.ids, trace, dataset.vocabulary).sum())
            nats += float((encoded.distortion * lengths(trace.steps)).sum())
            ids += int(lengths(trace.steps).sum())
            used.append(encoded.ids[encoded.ids >= 0])
    counts = torch.unique(torch.cat(used), return_counts=True)[1].double()
    entropy = float(torch.special.entr(counts / counts.sum()).sum())
    return {
        "codes_used": Measurement(float(len(counts)), "codes", size),
        "code_perplexity": Measurement(math.exp(entropy), "codes", size),
        "reconstruction_nats": Measurement(nats / ids, "nats an id", size),
        "reconstruction_accuracy": Measurement(correct / ids, "of the ids", size),
    }
