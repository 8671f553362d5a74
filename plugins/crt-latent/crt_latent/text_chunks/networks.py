"""Networks of the text tokenizer: small transformers in which every id that is there sees every other.

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
    """Positions that read one another, in both directions."""

    def __init__(self, spec: TextChunks) -> None:
        super().__init__()
        hidden = 8 * -(-spec.width // 3)
        self.stack = Stack(
            spec.width, spec.layers, [partial(Attention, heads=spec.heads), partial(SwiGLU, hidden=hidden)]
        )

    def forward(self, stream: Float[Tensor, "b t w"], present: Bool[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """The states; those of absent positions mean nothing."""
        positions = torch.arange(stream.shape[1], device=stream.device)
        itself = positions[:, None] == positions  # an absent one sees itself, so that its row is no 0 / 0
        states: Tensor = self.stack(
            stream, AttentionContext(positions.expand(len(stream), -1), present[:, None] | itself)
        )
        return states


class Reader(nn.Module):
    """Ids to states."""

    def __init__(self, spec: TextChunks, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, spec.width)
        self.mixer = Mixer(spec)

    def forward(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """The states; those of absent ids mean nothing."""
        states: Tensor = self.mixer(self.embedding(ids.clamp(min=0)), ids >= 0)
        return states


class Gist(nn.Module):
    """A prompt as one vector, and a learned vector that stands for none (g in the source)."""

    def __init__(self, spec: TextChunks, vocabulary: int) -> None:
        super().__init__()
        self.reader = Reader(spec, vocabulary)
        self.none = nn.Parameter(torch.zeros(spec.width))

    def forward(self, prompt: Int[Tensor, "b t"]) -> Float[Tensor, "b w"]:
        """The mean state of the ids that are there; of an empty prompt, what stands for none."""
        prompt = functional.pad(prompt, (0, 1), value=-1)  # attention takes no rows of no ids
        present = (prompt >= 0)[..., None]
        count = present.sum(1)  # b 1
        mean: Tensor = self.reader(prompt).where(present, 0).sum(1) / count.clamp(min=1)
        return mean.where(count > 0, self.none)
