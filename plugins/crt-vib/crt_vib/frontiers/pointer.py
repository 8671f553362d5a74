"""The noisy pointer: a symbol that is mostly answered truly, and its exact frontier.

Axes: x true symbols, y answers.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64


def noisy_pointer(symbols: int, noise: float) -> Float64[np.ndarray, "x y"]:
    """The joint law of the true symbol and the answer, which with probability `noise` is a uniform symbol.

    The true symbol is all that a sequence says of the answer, so that it has the frontier of the sequence.
    Raises: ValueError if there are fewer than two symbols or the noise is no probability.
    """
    if symbols < 2 or not 0 <= noise <= 1:
        raise ValueError(f"expected at least 2 symbols and a probability, got {symbols!r} and {noise!r}")
    return ((1 - noise) * np.eye(symbols) + noise / symbols) / symbols
