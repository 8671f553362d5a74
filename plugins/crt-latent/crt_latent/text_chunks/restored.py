"""How many ids of the steps the decoder of a text tokenizer restores.

Axes: b batch, k codes of a row, p ids of a prompt, c ids of the steps.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Int
from torch import Tensor
from torch.nn import functional

from crt_latent.traces import Trace, split_trace


def restored(tokenizer: Any, codes: Int[Tensor, "b k"], trace: Trace, vocabulary: int) -> Int[Tensor, " b"]:
    """Counts the ids of each row's steps that the decoder ranks first; it reads the prompt if it is `prompted`."""
    decoded = split_trace(tokenizer.decode_with_prompt(codes, trace.prompt), vocabulary).steps
    width = trace.steps.shape[1]
    decoded = functional.pad(decoded, (0, width), value=-1)[:, :width]
    return ((decoded == trace.steps) & (trace.steps >= 0)).sum(1)
