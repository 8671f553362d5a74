"""The rotation trick: gradients pass through the rotation and scaling that take a feature to its code.

Axes: w feature width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def rotated(features: Float[Tensor, "*many w"], codes: Float[Tensor, "*many w"]) -> Float[Tensor, "*many w"]:
    """Features rotated and scaled onto their codes, both held constant; a feature of 0 is not scaled.

    Source: Fifty et al. (2024), arXiv:2410.06424, section 4; as two reflections, without building a matrix.
    """
    fixed, codes = features.detach(), codes.detach()
    length = fixed.norm(dim=-1, keepdim=True)
    scale = torch.where(length > 0, codes.norm(dim=-1, keepdim=True) / length, 1)
    source, target = functional.normalize(fixed, dim=-1), functional.normalize(codes, dim=-1)
    middle = functional.normalize(source + target, dim=-1)
    mirrored = features - 2 * middle * (middle * features).sum(-1, keepdim=True)
    return scale * (mirrored + 2 * target * (source * features).sum(-1, keepdim=True))
