"""Forms of data, and tokenizers, for the laws of tokenizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import attrs
import torch
from torch import Tensor

from crtcore.kinds.tokenizer import Tokenizer


class Form(NamedTuple):
    """A form of data."""

    draw: Callable[[torch.Generator, int], Tensor]
    """Samples, of a generator and their number."""
    vocabulary: int | None = None
    """Vocabulary of the data, if they are ids."""


@attrs.frozen
class Trial:
    """A tokenizer under test, and how one is built under another seed."""

    tokenizer: Tokenizer
    build: Callable[[int], Tokenizer]
    form: Form
