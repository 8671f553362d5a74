"""Causal regularisation by cross-entropy: a small head predicts each id from the latents before it.

Axes: b batch, n codes of a sample, d latent width.
"""

from __future__ import annotations

from functools import partial

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.ranks import whole_norm
from crt_vq.regularizers.batch_metrics import batch_metrics
from crt_vq.regularizers.next_latent import NextLatentPredictor, mean_present
from crt_vq.regularizers.space import latents_in
from crt_vq.regularizers.specs import CausalCE
from crt_vq.regularizers.split_gradients import split_gradients
from crtcore.kinds import Encoded, RegularizerOutput, Tokenizer


class CausalCrossEntropy(nn.Module):
    """Penalises latents from which the next id cannot be predicted."""

    def __init__(self, spec: CausalCE, latent: int, length: int, vocabulary: int | None) -> None:
        super().__init__()
        if vocabulary is None:
            raise ValueError("expected a tokenizer with ids, got one whose codes are continuous")
        self.spec = spec
        # Checkpoints store the head under this attribute's name.
        self.foreteller = NextLatentPredictor(spec, latent, vocabulary, length)

    def error(
        self, latents: Float[Tensor, "b n d"], ids: Int[Tensor, "b n"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, ""]:
        """The mean cross-entropy over the present targets.

        Units: nats an id.
        """
        logits, present = self.foreteller(latents, mask), self.foreteller.targets(mask)
        targets = self.foreteller.targets(ids).where(present, 0)
        return mean_present(functional.cross_entropy(logits.mT, targets, reduction="none"), present)

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """The error as two losses: one moves the latents with the head fixed, one the head with the latents fixed.

        Raises: ValueError if there are no ids.
        Source: Wang et al. (2024), arXiv:2410.21264, the prior model; ids carry no gradient, only the context does.
        """
        if encoded.ids is None:
            raise ValueError("expected ids, got codes that are continuous")
        latents = latents_in(encoded, self.spec.space)
        error = partial(self.error, ids=encoded.ids, mask=encoded.mask)
        loss, own, gradient = split_gradients(error, latents, list(self.parameters()))
        factor = self.spec.rise(progress)
        norm = factor * whole_norm(gradient).item()
        metrics = {"cross_entropy": own.item(), "latent_gradient_norm": norm, **batch_metrics(encoded)}
        return RegularizerOutput(loss=factor * loss, own_loss=own, metrics=metrics)


def causal_ce(spec: CausalCE, tokenizer: Tokenizer) -> CausalCrossEntropy:
    """The regulariser for a tokenizer's ids."""
    return CausalCrossEntropy(spec, tokenizer.width, tokenizer.length, tokenizer.vocabulary)
