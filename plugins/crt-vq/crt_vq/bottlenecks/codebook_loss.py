"""What pulls codes and features together.

Axes: w feature width.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def pull(features: Float[Tensor, "*many w"], codes: Float[Tensor, "*many w"], commitment: float) -> Float[Tensor, ""]:
    """Mean squared error that moves codes, plus `commitment` times the same that moves features.

    Source: van den Oord et al. (2017), arXiv:1711.00937, eq. 3; well-known code has beta on the other side.
    """
    loss = (features.detach() - codes).square().mean()
    return loss + commitment * (features - codes.detach()).square().mean()
