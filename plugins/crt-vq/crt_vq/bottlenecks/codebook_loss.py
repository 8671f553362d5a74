"""The codebook and commitment losses: what moves codes to features, and features to codes.

Axes: w feature width.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def codebook_loss(
    features: Float[Tensor, "*many w"], codes: Float[Tensor, "*many w"], commitment: float
) -> Float[Tensor, ""]:
    """The codebook loss plus `commitment` times the commitment loss, both mean squared errors.

    Source: van den Oord et al. (2017), arXiv:1711.00937, eq. 3; some public code has beta at the codebook loss.
    """
    loss = (features.detach() - codes).square().mean()
    return loss + commitment * (features - codes.detach()).square().mean()
