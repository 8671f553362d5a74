"""Causal regularisation by cross-entropy: ids that a small head foretells from the latents before them.

Axes: b batch, n codes of a sample, d latent width.
"""

from __future__ import annotations

from functools import partial

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_vq.regularizers.batch_metrics import readings
from crt_vq.regularizers.next_latent import Foreteller, mean_present
from crt_vq.regularizers.space import latents_in
from crt_vq.regularizers.specs import CausalCE
from crt_vq.regularizers.split_gradients import sides
from crtcore.kinds import Encoded, RegularizerOutput, Tokenizer


class CausalCrossEntropy(nn.Module):
    """Penalises latents after which the next id is not likely."""

    def __init__(self, spec: CausalCE, latent: int, length: int, vocabulary: int) -> None:
        super().__init__()
        if not vocabulary:
            raise ValueError("expected a tokenizer with ids, got one whose codes are continuous")
        self.spec = spec
        self.foreteller = Foreteller(spec, latent, vocabulary, length)

    def error(
        self, latents: Float[Tensor, "b n d"], ids: Int[Tensor, "b n"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, ""]:
        """The mean cross-entropy of the ids that are foretold; absent ones do not count.

        Units: nats an id.
        """
        logits, present = self.foreteller(latents, mask), self.foreteller.foretold(mask)
        targets = self.foreteller.foretold(ids).where(present, 0)
        return mean_present(functional.cross_entropy(logits.mT, targets, reduction="none"), present)

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """The error: for the encoder with the head held still, for the head with the latents held still.

        Raises: ValueError if there are no ids.
        Source: Wang et al. (2024), arXiv:2410.21264, the prior model; ids carry no gradient, the context alone does.
        """
        if encoded.ids is None:
            raise ValueError("expected ids, got codes that are continuous")
        latents = latents_in(encoded, self.spec.space)
        error = partial(self.error, ids=encoded.ids, mask=encoded.mask)
        loss, own, gradient = sides(error, latents, list(self.parameters()))
        rise = self.spec.rise(progress)
        pull = rise * gradient.norm().item()
        told = {"cross_entropy": own.item(), "latent_gradient_norm": pull, **readings(encoded)}
        return RegularizerOutput(loss=rise * loss, own_loss=own, metrics=told)


def causal_ce(spec: CausalCE, tokenizer: Tokenizer) -> CausalCrossEntropy:
    """The regulariser for a tokenizer's ids."""
    return CausalCrossEntropy(spec, tokenizer.width, tokenizer.length, tokenizer.vocabulary)
