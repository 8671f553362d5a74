"""The space in which a regulariser reads the latents of a batch.

Axes: b batch, n features of a sample, k codes of a sample, d latent width.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from jaxtyping import Float
from torch import Tensor

from crtcore.kinds import Encoded

Space: TypeAlias = Literal["compared", "raw", "straight-through"]


def latents_in(encoded: Encoded, space: Space) -> Float[Tensor, "b k d"]:
    """Latents before quantisation (`compared`), the encoder's features (`raw`), or codes (`straight-through`).

    Raises: ValueError if the space is `raw` and there is not one feature for each code.
    """
    if space == "compared":
        return encoded.latents
    if space == "straight-through":
        return encoded.codes
    if encoded.features.shape[:2] != encoded.mask.shape:
        features, codes = encoded.features.shape[1], encoded.mask.shape[1]
        raise ValueError(f"expected a feature for each of {codes} codes, got {features}; take another space than 'raw'")
    return encoded.features
