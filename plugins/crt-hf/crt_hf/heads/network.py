"""An EAGLE-3 head: one block that reads an id and the hidden state of its target before it.

Axes: b batch, t positions, w width, u the target's hidden states behind one another, d the head's ids.
Source: Li et al. (2025), arXiv:2503.01840, section 3.1; vllm-project/speculators, models/eagle3.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crt_ar.llama.rotary import scaled_rotations
from crt_hf.heads.config import HeadConfig
from crt_nn.attention import Attention, AttentionForm
from crt_nn.context import AttentionContext
from crt_nn.norm import RMSNorm
from crt_nn.packed import Packed
from crt_nn.swiglu import SwiGLU


class Head(nn.Module):
    """Logits of the next id after an id, given what stands for the hidden state of the position before it.

    That is `fused` of the target where the target has read the position, and the head's own state elsewhere.
    """

    def __init__(self, config: HeadConfig, read: int) -> None:
        """`read` is the width of the target's hidden states behind one another."""
        super().__init__()
        shape, width = config.shape, config.shape.width
        self.config, self.width = config, width
        self.embedding = nn.Embedding(config.vocabulary, width)
        self.fuse = nn.Linear(read, width, bias=False)
        self.id_norm, self.state_norm, self.feed_norm, self.norm = (
            RMSNorm(width, epsilon=shape.epsilon) for _ in range(4)
        )
        form = AttentionForm(
            channels=shape.channels, inward_bias=shape.bias != "none",
            norm_epsilon=shape.epsilon if shape.head_norms else None,
        )  # fmt: skip
        self.attention = Attention(
            2 * width, heads=shape.heads, key_heads=shape.key_heads, form=form,
            rope=partial(scaled_rotations, base=shape.base, scaling=shape.scaling),
        )  # fmt: skip
        self.attention.outward = nn.Linear(shape.heads * shape.channels, width, bias=shape.bias == "both")
        self.feed = SwiGLU(width, hidden=shape.hidden, bias=shape.feed_bias)
        self.head = nn.Linear(width, config.own, bias=False)
        self._packed: tuple[Packed, Packed] | None = None

    def pack(self) -> int:
        """Packs the weights of the first and of the output layer, and returns their bytes."""
        self._packed = Packed.of(self, "fuse"), Packed.of(self, "head")
        return self._packed[0].size + self._packed[1].size

    def fused(self, states: Float[Tensor, "b t u"]) -> Float[Tensor, "b t w"]:
        """What stands for hidden states of the target."""
        if self._packed is not None and not torch.is_grad_enabled():
            return self._packed[0](states)
        result: Tensor = self.fuse(states)
        return result

    def forward(
        self, ids: Float[Tensor, "b t w"], before: Float[Tensor, "b t w"], context: AttentionContext
    ) -> Float[Tensor, "b t w"]:
        """Returns the states at positions, from the embedded ids there and what stands for the state before each."""
        normed = self.state_norm(before)
        stream = normed if self.config.norm_before_residual else before
        stream = stream + self.attention(torch.cat((self.id_norm(ids), normed), -1), context)
        result: Tensor = stream + self.feed(self.feed_norm(stream), context)
        return result

    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t d"]:
        """Returns logits of the head's ids after each position."""
        if self._packed is not None and not torch.is_grad_enabled():
            return self._packed[1](self.norm(states))
        result: Tensor = self.head(self.norm(states))
        return result
