"""Networks of the text tokenizer: small bidirectional transformers over present ids.

Axes: b batch, t ids of a row, w width.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_latent.text_chunks.spec import TextChunks
from crt_nn.attention import Attention
from crt_nn.block import Stack
from crt_nn.context import AttentionContext
from crt_nn.swiglu import SwiGLU


class Mixer(nn.Module):
    """A bidirectional transformer over features."""

    def __init__(self, spec: TextChunks) -> None:
        super().__init__()
        hidden = 8 * -(-spec.width // 3)
        self.stack = Stack(
            spec.width, spec.layers, [partial(Attention, heads=spec.heads), partial(SwiGLU, hidden=hidden)]
        )

    def forward(self, stream: Float[Tensor, "b t w"], present: Bool[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Returns states; those of absent positions are undefined."""
        positions = torch.arange(stream.shape[1], device=stream.device)
        itself = positions[:, None] == positions  # an absent one attends to itself, which avoids 0 / 0
        states: Tensor = self.stack(
            stream, AttentionContext(positions.expand(len(stream), -1), present[:, None] | itself)
        )
        return states


class Reader(nn.Module):
    """A bidirectional transformer over ids."""

    def __init__(self, spec: TextChunks, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, spec.width)
        self.mixer = Mixer(spec)

    def forward(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Returns states; those of absent ids are undefined."""
        states: Tensor = self.mixer(self.embedding(ids.clamp(min=0)), ids >= 0)
        return states


class PromptEncoder(nn.Module):
    """Encodes a prompt as one vector, with a learned vector for no prompt (g in the source)."""

    def __init__(self, spec: TextChunks, vocabulary: int) -> None:
        super().__init__()
        self.reader = Reader(spec, vocabulary)
        self.none = nn.Parameter(torch.zeros(spec.width))

    def forward(self, prompt: Int[Tensor, "b t"]) -> Float[Tensor, "b w"]:
        """Returns the mean state of present ids; for an empty prompt, the vector for none."""
        prompt = functional.pad(prompt, (0, 1), value=-1)  # attention needs at least one id
        present = (prompt >= 0)[..., None]
        count = present.sum(1)  # b 1
        mean: Tensor = self.reader(prompt).where(present, 0).sum(1) / count.clamp(min=1)
        return mean.where(count > 0, self.none)
