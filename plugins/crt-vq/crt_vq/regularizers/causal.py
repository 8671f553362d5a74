"""Causal regularisation: a small head predicts each latent from those before it.

Axes: b batch, n latents of a sample, d latent width.
"""

from __future__ import annotations

from functools import partial

from jaxtyping import Bool, Float
from torch import Tensor, nn

from crt_nn.ranks import whole_norm
from crt_vq.regularizers.batch_metrics import batch_metrics
from crt_vq.regularizers.next_latent import NextLatentPredictor, mean_present
from crt_vq.regularizers.prediction_error import output_width, prediction_error
from crt_vq.regularizers.space import latents_in
from crt_vq.regularizers.specs import Causal
from crt_vq.regularizers.split_gradients import split_gradients
from crtcore.kinds import Encoded, RegularizerOutput, Tokenizer


class CausalRegularizer(nn.Module):
    """Penalises latents that cannot be predicted from their predecessors."""

    def __init__(self, spec: Causal, latent: int, length: int) -> None:
        super().__init__()
        self.spec = spec
        # Checkpoints store the head under this attribute's name.
        self.foreteller = NextLatentPredictor(spec, latent, output_width(spec, latent), length)

    def error(self, latents: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]) -> Float[Tensor, ""]:
        """The mean prediction error over the present targets."""
        context = latents.detach() if self.spec.detach == "input" else latents
        target = latents.detach() if self.spec.detach == "target" else latents
        predicted = self.foreteller(context, mask)
        errors = prediction_error(self.spec, predicted, self.foreteller.targets(target))
        return mean_present(errors, self.foreteller.targets(mask))

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """The error as two losses: one moves the latents with the head fixed, one the head with the latents fixed.

        Source: Ramanujan et al. (2024), arXiv:2412.16326.
        """
        latents = latents_in(encoded, self.spec.space)
        loss, own, gradient = split_gradients(partial(self.error, mask=encoded.mask), latents, list(self.parameters()))
        factor = self.spec.rise(progress)
        norm = factor * whole_norm(gradient).item()
        metrics = {"prediction_error": own.item(), "latent_gradient_norm": norm, **batch_metrics(encoded)}
        return RegularizerOutput(loss=factor * loss, own_loss=own, metrics=metrics)


def causal(spec: Causal, tokenizer: Tokenizer) -> CausalRegularizer:
    """The regulariser for a tokenizer's latents."""
    return CausalRegularizer(spec, tokenizer.width, tokenizer.length)
