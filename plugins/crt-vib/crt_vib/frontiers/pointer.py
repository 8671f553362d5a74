"""The noisy pointer: a symbol and an answer that usually equals it.

Axes: x true symbols, y answers.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64


def noisy_pointer(symbols: int, noise: float) -> Float64[np.ndarray, "x y"]:
    """The joint distribution of the true symbol and the answer, which is a uniform symbol with probability `noise`.

    A sequence informs about the answer only by its true symbol, so both have the same frontier.
    Raises: ValueError if there are fewer than two symbols or `noise` is no probability.
    """
    if symbols < 2 or not 0 <= noise <= 1:
        raise ValueError(f"expected at least 2 symbols and a probability, got {symbols!r} and {noise!r}")
    return ((1 - noise) * np.eye(symbols) + noise / symbols) / symbols
