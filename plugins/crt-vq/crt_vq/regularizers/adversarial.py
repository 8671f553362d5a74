"""The adversarial regulariser: reconstructions that a learned discriminator takes for data.

Axes: b batch, c image channels, y rows and x columns of an image.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.ranks import whole_gradient
from crt_vq.regularizers.patchgan import patch_discriminator, smallest_image
from crt_vq.regularizers.specs import Adversarial
from crt_vq.regularizers.split_gradients import attach_gradients
from crtcore.errors import RunError
from crtcore.kinds import Encoded, RegularizerOutput, Tokenizer

EPSILON, LARGEST = 1e-4, 1e4
"""Added to the divisor of the adaptive weight; its upper limit."""


def hinge_loss(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """The discriminator's loss: logits under 1 for data and over -1 for reconstructions cost.

    Source: Lim and Ye (2017), arXiv:1705.02894, halved as in VQGAN's code.
    """
    return (functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()) / 2


class AdversarialRegularizer(nn.Module):
    """Trains a discriminator, and penalises reconstructions that it distinguishes from data."""

    def __init__(self, spec: Adversarial, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.spec = spec
        # Checkpoints store the discriminator under this attribute's name.
        self.judge = patch_discriminator(spec, _channels(tokenizer, smallest_image(spec.layers)))
        # In a tuple, so that it is no parameter of this module.
        self._last = (_last_weight(tokenizer),)

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """Minus the mean logit of reconstructions for the tokenizer, the hinge loss for the discriminator.

        Before `start` both are 0 and the discriminator is not called. Its batch norms see data and reconstructions in
        separate calls; their running statistics are never used.
        Source: Esser et al. (2020), arXiv:2012.09841, eq. 7 (adaptive weight); the rest as in LlamaGen's vq_loss.py.
        Cost: the discriminator runs on reconstructions once for both losses.
        """
        if progress < self.spec.start:
            zero = encoded.distortion.new_zeros(())
            return RegularizerOutput(zero, zero, {})
        with torch.enable_grad():
            source = encoded.reconstruction.detach().requires_grad_()
            fake = self.judge(source)
            (gradient,) = torch.autograd.grad(-fake.mean(), source, retain_graph=True)
        real = self.judge(data)
        loss = attach_gradients(-fake.mean().detach(), [encoded.reconstruction], [gradient])
        metrics = {"real_logit": real.mean().item(), "fake_logit": fake.mean().item()}
        if self.spec.adaptive and encoded.loss.requires_grad:
            factor = self._factor(encoded, gradient)
            loss, metrics = factor * loss, metrics | {"adaptive_weight": factor.item()}
        return RegularizerOutput(loss, hinge_loss(real, fake), metrics)

    def _factor(self, encoded: Encoded, gradient: Float[Tensor, "b c y x"]) -> Float[Tensor, ""]:
        """Norm of the gradient of the tokenizer's loss over that of this loss, at the tokenizer's last weight."""
        (last,) = self._last
        (theirs,) = torch.autograd.grad(encoded.loss, last, retain_graph=True)
        (ours,) = torch.autograd.grad(encoded.reconstruction, last, gradient, retain_graph=True)
        factor: Tensor = (whole_gradient(theirs).norm() / (whole_gradient(ours).norm() + EPSILON)).clamp(0, LARGEST)
        return factor


def _channels(tokenizer: Tokenizer, least: int) -> int:
    """The channels of the tokenizer's images, read from a decoded one.

    Raises: RunError if it has no ids, or does not decode to images of at least `least` rows and columns.
    """
    if tokenizer.vocabulary is None:
        raise RunError("adversarial: expected a tokenizer with ids, got one whose codes are continuous")
    weight = _last_weight(tokenizer)
    with torch.no_grad():
        image = tokenizer.decode(torch.zeros(1, tokenizer.length, dtype=torch.int64, device=weight.device))
    if image.ndim != 4 or min(image.shape[2:]) < least:
        raise RunError(
            f"adversarial: expected a tokenizer of images of at least {least} by {least}, "
            f"got data of shape {tuple(image.shape[1:])}; use fewer `layers` for smaller images"
        )
    return image.shape[1]


def _last_weight(tokenizer: Tokenizer) -> nn.Parameter:
    """The last parameter with two or more axes: the decoder's last weight, if the decoder comes last."""
    return [each for each in cast("nn.Module", tokenizer).parameters() if each.ndim >= 2][-1]
