"""What the laws of tokenizers are tried on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import attrs
import torch
from torch import Tensor

from crtcore.kinds.tokenizer import Tokenizer


class Form(NamedTuple):
    """A form of data that tokenizers are tried on."""

    draw: Callable[[torch.Generator, int], Tensor]
    """A generator, and how many samples."""
    vocabulary: int | None = None
    """Of the data, if they are ids."""


@attrs.frozen
class Trial:
    """A tokenizer on trial, and how one is built under another seed."""

    tokenizer: Tokenizer
    build: Callable[[int], Tokenizer]
    form: Form
