"""Base of autoregressive transformers that read a class prefix, then ids.

Axes: b batch, n ids of a sample, t positions, w width, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_nn.causal import Causal
from crt_nn.packed import Packed


class Prefixed(Causal):
    """Base of priors that read one position for the class, then the ids."""

    prefixes: nn.Embedding
    """A row for each class, and a last one for none."""
    head: nn.Module
    """Maps states to logits."""
    _packed: Packed | None = None

    def begin(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """Returns features of the prefix and the ids."""
        if class_ids is None:
            class_ids = ids.new_full((len(ids),), -1)
        beyond = class_ids >= self.classes  # where values are not read, no class must have the row of none
        rows = class_ids.where(class_ids >= 0, self.classes) + beyond
        prefix: Tensor = self.prefixes(rows)
        return torch.cat((prefix[:, None], self.embed(ids)), 1)

    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Returns logits after each position."""
        if self._packed is not None and not torch.is_grad_enabled():
            return self._packed(states)
        logits: Tensor = self.head(states)
        return logits

    def pack(self) -> int:
        """Packs the weights of the output layer, if it is one matrix, and returns their bytes."""
        self._packed = Packed.of(self, "head") if isinstance(self.head, nn.Linear) else None
        return 0 if self._packed is None else self._packed.size

    def reset_parameters(self, std: float = 0.02, embedding_std: float | None = None) -> None:
        """Draws first values of all weights with a standard deviation of `std`; output weights are 0.

        Embeddings have `embedding_std`; None: `std` too.

        Source: LlamaGen, autoregressive/models/gpt.py, `initializer_range` and the zeroed output layer.
        """
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=std if embedding_std is None else embedding_std)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=std)
        nn.init.zeros_(self.head.get_parameter("weight"))  # so that it starts at ln v
