"""A small autoregressive transformer over assignments of codes, that trains beside a tokenizer.

Axes: b batch, n codes of a sample, v codes, w width.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from crt_vq.regularizers.joint_specs import JointSpec
from crt_vq.regularizers.next_latent import mean_present


class Generator(nn.Module):
    """Reads each position as a mean of embeddings, weighted by its assignment, and predicts the next one."""

    def __init__(self, spec: JointSpec, vocabulary: int, length: int) -> None:
        super().__init__()
        self.embeddings = nn.Parameter(torch.randn(vocabulary, spec.width) / 10)
        self.first = nn.Parameter(torch.zeros(spec.width))
        self.positions = nn.Parameter(torch.randn(length, spec.width) / 10)
        layer = partial(nn.TransformerEncoderLayer, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.ModuleList(layer(spec.width, spec.heads, 2 * spec.width) for _ in range(spec.layers))
        self.predict = nn.Sequential(nn.LayerNorm(spec.width), nn.Linear(spec.width, vocabulary))
        self.depth = -(-spec.layers // 3)  # 4 of 12, 8 of 24 and 12 of 36 in GEAR's train_gear.sh

    def hidden(self, assignments: Float[Tensor, "b n v"]) -> Float[Tensor, "b n w"]:
        """What a third of the layers computes at each position of those before it."""
        read = assignments @ self.embeddings
        shifted = torch.cat([self.first.expand(len(read), 1, -1), read[:, :-1]], 1)
        return self._through(shifted + self.positions[: read.shape[1]], self.layers[: self.depth])

    def logits(self, hidden: Float[Tensor, "b n w"]) -> Float[Tensor, "b n v"]:
        """Logits of each position's code, of what `hidden` returned."""
        logits: Tensor = self.predict(self._through(hidden, self.layers[self.depth :]))
        return logits

    @staticmethod
    def _through(hidden: Tensor, layers: nn.ModuleList) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(hidden.shape[1], hidden.device, hidden.dtype)
        for layer in layers:
            hidden = layer(hidden, src_mask=mask, is_causal=True)
        return hidden


def next_id_loss(
    logits: Float[Tensor, "b n v"], targets: Float[Tensor, "b n v"], mask: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """The mean cross-entropy of the assignments that are present.

    Units: nats an id.
    """
    return mean_present(-(targets * logits.log_softmax(-1)).sum(-1), mask)
