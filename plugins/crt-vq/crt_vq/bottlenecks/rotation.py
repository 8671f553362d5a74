"""The rotation trick: a gradient that turns as the feature would turn to become its code.

Axes: w feature width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def rotated(features: Float[Tensor, "*many w"], codes: Float[Tensor, "*many w"]) -> Float[Tensor, "*many w"]:
    """Features turned and scaled onto their codes, with turn and scale held still; a feature of 0 is not scaled.

    Source: Fifty et al. (2024), arXiv:2410.06424, section 4; two reflections, so that no matrix is made.
    """
    still, codes = features.detach(), codes.detach()
    length = still.norm(dim=-1, keepdim=True)
    scale = torch.where(length > 0, codes.norm(dim=-1, keepdim=True) / length, 1)
    source, target = functional.normalize(still, dim=-1), functional.normalize(codes, dim=-1)
    middle = functional.normalize(source + target, dim=-1)
    mirrored = features - 2 * middle * (middle * features).sum(-1, keepdim=True)
    return scale * (mirrored + 2 * target * (source * features).sum(-1, keepdim=True))
