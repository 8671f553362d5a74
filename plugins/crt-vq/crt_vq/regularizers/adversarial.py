"""The adversarial regulariser: reconstructions that a learned judge takes for data.

Axes: b batch, c image channels, y rows and x columns of an image.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_vq.regularizers.patchgan import patch_discriminator, smallest
from crt_vq.regularizers.specs import Adversarial
from crt_vq.regularizers.split_gradients import carrying
from crtcore.errors import RunError
from crtcore.kinds import Encoded, RegularizerOutput, Tokenizer

STEADY, MOST = 1e-4, 1e4
"""What is added to the divisor of the adaptive weight, and the largest there is."""


def hinge(real: Tensor, fake: Tensor) -> Float[Tensor, ""]:
    """What a judge loses by logits under 1 for data and over -1 for reconstructions.

    Source: Lim and Ye (2017), arXiv:1705.02894, halved as in VQGAN's code.
    """
    return (functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()) / 2


class Adversary(nn.Module):
    """Penalises reconstructions that its judge tells from data, and teaches the judge to tell them."""

    def __init__(self, spec: Adversarial, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.spec = spec
        self.judge = patch_discriminator(spec, _channels(tokenizer, smallest(spec.layers)))
        # In a tuple it is no parameter of its own.
        self._last = (_last_weight(tokenizer),)

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """Minus the mean logit of reconstructions for the tokenizer, the hinge loss for the judge.

        Before `start` both are 0, and the judge is not asked. The judge's batch norms see data and reconstructions
        apart, and their own running statistics are never used.
        Source: Esser et al. (2020), arXiv:2012.09841, eq. 7 (adaptive weight); the rest as in LlamaGen's vq_loss.py.
        Cost: reconstructions are judged once for both sides.
        """
        if progress < self.spec.start:
            nothing = encoded.distortion.new_zeros(())
            return RegularizerOutput(nothing, nothing, {})
        with torch.enable_grad():
            source = encoded.reconstruction.detach().requires_grad_()
            fake = self.judge(source)
            (gradient,) = torch.autograd.grad(-fake.mean(), source, retain_graph=True)
        real = self.judge(data)
        loss = carrying(-fake.mean().detach(), [encoded.reconstruction], [gradient])
        told = {"real_logit": real.mean().item(), "fake_logit": fake.mean().item()}
        if self.spec.adaptive and encoded.loss.requires_grad:
            factor = self._factor(encoded, gradient)
            loss, told = factor * loss, told | {"adaptive_weight": factor.item()}
        return RegularizerOutput(loss, hinge(real, fake), told)

    def _factor(self, encoded: Encoded, gradient: Float[Tensor, "b c y x"]) -> Float[Tensor, ""]:
        """How much larger the gradient of the tokenizer's loss is than this one's, at the tokenizer's last weight."""
        (last,) = self._last
        (theirs,) = torch.autograd.grad(encoded.loss, last, retain_graph=True)
        (ours,) = torch.autograd.grad(encoded.reconstruction, last, gradient, retain_graph=True)
        factor: Tensor = (theirs.norm() / (ours.norm() + STEADY)).clamp(0, MOST)
        return factor


def _channels(tokenizer: Tokenizer, least: int) -> int:
    """The channels of the tokenizer's images, from one that it decodes.

    Raises: RunError if it has no ids, or makes no images of at least `least` rows and columns.
    """
    if not tokenizer.vocabulary:
        raise RunError("adversarial: expected a tokenizer with ids, got one whose codes are continuous")
    weight = _last_weight(tokenizer)
    with torch.no_grad():
        image = tokenizer.decode(torch.zeros(1, tokenizer.length, dtype=torch.int64, device=weight.device))
    if image.ndim != 4 or min(image.shape[2:]) < least:
        raise RunError(
            f"adversarial: expected a tokenizer of images of at least {least} by {least}, "
            f"got data of shape {tuple(image.shape[1:])}; take fewer `layers` for smaller images"
        )
    return image.shape[1]


def _last_weight(tokenizer: Tokenizer) -> nn.Parameter:
    """The last parameter with two axes or more: the weight that makes the image, where the decoder comes last."""
    return [each for each in cast("nn.Module", tokenizer).parameters() if each.ndim >= 2][-1]
