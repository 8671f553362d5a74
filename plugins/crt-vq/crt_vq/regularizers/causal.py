"""Causal regularisation: latents that a small head foretells from those before them.

Axes: b batch, n latents of a sample, d latent width.
"""

from __future__ import annotations

from functools import partial

from jaxtyping import Bool, Float
from torch import Tensor, nn

from crt_vq.regularizers.batch_metrics import readings
from crt_vq.regularizers.next_latent import Foreteller, mean_present
from crt_vq.regularizers.prediction_error import misfit, outputs
from crt_vq.regularizers.space import latents_in
from crt_vq.regularizers.specs import Causal
from crt_vq.regularizers.split_gradients import sides
from crtcore.kinds import Encoded, RegularizerOutput, Tokenizer


class CausalForesight(nn.Module):
    """Penalises latents that their predecessors do not foretell."""

    def __init__(self, spec: Causal, latent: int, length: int) -> None:
        super().__init__()
        self.spec = spec
        self.foreteller = Foreteller(spec, latent, outputs(spec, latent), length)

    def error(self, latents: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]) -> Float[Tensor, ""]:
        """The mean misfit of the latents that are foretold; absent ones do not count."""
        context = latents.detach() if self.spec.detach == "input" else latents
        target = latents.detach() if self.spec.detach == "target" else latents
        errors = misfit(self.spec, self.foreteller(context, mask), self.foreteller.foretold(target))
        return mean_present(errors, self.foreteller.foretold(mask))

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """The error: for the encoder with the head held still, for the head with the latents held still.

        Source: Ramanujan et al. (2024), arXiv:2412.16326.
        """
        latents = latents_in(encoded, self.spec.space)
        loss, own, gradient = sides(partial(self.error, mask=encoded.mask), latents, list(self.parameters()))
        rise = self.spec.rise(progress)
        pull = rise * gradient.norm().item()
        told = {"prediction_error": own.item(), "latent_gradient_norm": pull, **readings(encoded)}
        return RegularizerOutput(loss=rise * loss, own_loss=own, metrics=told)


def causal(spec: Causal, tokenizer: Tokenizer) -> CausalForesight:
    """The regulariser for a tokenizer's codes."""
    return CausalForesight(spec, tokenizer.width, tokenizer.length)
