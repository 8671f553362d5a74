"""Draws from a mixture of Gaussians, with gradients at all of its parameters.

Axes: p parts, d channels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from crt_vib.mixture.posterior import MixturePosterior


class Drawn(NamedTuple):
    """A code of each mixture, and the codes that the other parts would have given."""

    codes: Float[Tensor, "*many d"]
    each: Float[Tensor, "*many p d"]
    """The code of each part, by the same normal numbers."""


def drawn(mixture: MixturePosterior, uniforms: Float[Tensor, "*many"], normals: Float[Tensor, "*many d"]) -> Drawn:
    """A code of each mixture: `uniforms` in [0, 1) choose the part, standard `normals` the place in it.

    The gradient at means and scales is that of the part that was drawn, without bias. At weights of parts it is the
    straight-through estimate: the loss at another part is taken to be what the gradient at the drawn code promises,
    which is exact for linear functions of the code, and for convex ones less than what another part would cost.
    An unbiased gradient, that of the inverse of the distribution function, has too much noise where parts are far apart
    (docs/decisions/0043-parts-are-shared.md).
    Source: Bengio, Leonard and Courville (2013), arXiv:1308.3432.
    """
    each = mixture.means + mixture.scales * normals.unsqueeze(-2)  # *many p d
    with torch.no_grad():
        ends = mixture.log_weights.exp().cumsum(-1)  # *many p
        part = (uniforms.unsqueeze(-1) >= ends[..., :-1]).sum(-1)  # *many
        hard = functional.one_hot(part, ends.shape[-1]).to(each.dtype)
    soft = mixture.log_weights.exp()
    weights = soft - soft.detach() + hard
    return Drawn((weights.unsqueeze(-1) * each).sum(-2), each)
