"""What transformers behind a class prefix share: the prefix, and logits.

Axes: b batch, n ids of a sample, t positions, w width, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_nn.causal import Causal


class Prefixed(Causal):
    """Base of priors that read one position of a class and then the ids."""

    prefixes: nn.Embedding
    """A row for each class, and a last one that is unconditional."""
    head: nn.Module
    """States to logits."""

    def begin(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """Features of the prefix and the ids."""
        if class_ids is None:
            class_ids = ids.new_full((len(ids),), -1)
        elif not self.classes:
            raise ValueError("expected no condition, as this prior was built without classes, got one")
        prefix: Tensor = self.prefixes(class_ids.where(class_ids >= 0, self.classes))
        return torch.cat((prefix[:, None], self.embed(ids)), 1)

    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Logits after each position."""
        logits: Tensor = self.head(states)
        return logits

    def reset_parameters(self) -> None:
        """Gives every weight its first values.

        Source: LlamaGen, autoregressive/models/gpt.py, `initializer_range` and the zeroed output layer.
        """
        for module in self.modules():
            if isinstance(module, nn.Embedding | nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(self.head.get_parameter("weight"))  # so that it starts at ln v
