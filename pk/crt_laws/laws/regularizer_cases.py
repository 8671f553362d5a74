"""The regulariser under test, for the laws of regularisers."""

from __future__ import annotations

import attrs

from crtcore.kinds.regularizer import Regularizer
from crtcore.kinds.tokenizer import Tokenizer


@attrs.frozen
class Trial:
    """A regulariser under test, and the tokenizer that it was built for."""

    regularizer: Regularizer
    tokenizer: Tokenizer
