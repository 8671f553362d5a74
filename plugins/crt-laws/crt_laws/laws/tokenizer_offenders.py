"""Tokenizers that break one law each: a sound one inside, and one thing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
from torch import Tensor, nn

from crtcore.kinds.tokenizer import Encoded, Tokenizer

if TYPE_CHECKING:
    from crt_laws.laws.tokenizer_cases import Trial


class Altered(nn.Module):
    """A tokenizer with one thing changed: methods and numbers by name, each method given the one within."""

    def __init__(self, inner: Tokenizer, **changes: Any) -> None:
        super().__init__()
        self.inner = inner
        self.changes = changes
        self.width, self.length = inner.width, inner.length
        self.vocabulary: int = changes.get("vocabulary", inner.vocabulary)

    def forward(self, data: Tensor, condition: Tensor | None = None) -> Encoded:
        """The whole way, changed by `call`."""
        encoded: Encoded = self.changes.get("call", lambda inner, data: inner(data))(self.inner, data)
        return encoded

    def encode(self, data: Tensor, condition: Tensor | None = None) -> Tensor:
        """The first half, changed by `encode`."""
        ids: Tensor = self.changes.get("encode", lambda inner, data: inner.encode(data))(self.inner, data)
        return ids

    def decode(self, ids: Tensor, condition: Tensor | None = None) -> Tensor:
        """The second half, changed by `decode`."""
        data: Tensor = self.changes.get("decode", lambda inner, ids: inner.decode(ids))(self.inner, ids)
        return data


def altered(**changes: Any) -> Callable[[Trial], Trial]:
    """Alters the tokenizer on trial, and every one built for it."""

    def plant(trial: Trial) -> Trial:
        def build(seed: int) -> Tokenizer:
            return Altered(trial.build(seed), **changes)

        return attrs.evolve(trial, tokenizer=Altered(trial.tokenizer, **changes), build=build)

    return plant


def replaced(change: Callable[[Encoded], dict[str, Any]]) -> Callable[[Any, Tensor], Encoded]:
    """A whole way with some of its fields replaced."""

    def call(inner: Any, data: Tensor) -> Encoded:
        encoded: Encoded = inner(data)
        return encoded._replace(**change(encoded))

    return call


def forgetful(trial: Trial) -> Trial:
    """Adds to what it decodes a number that its state does not hold."""

    def forget(seed: int, inner: Tokenizer) -> Tokenizer:
        return Altered(
            inner,
            call=replaced(lambda encoded: {"reconstruction": encoded.reconstruction + seed}),
            decode=lambda inner, ids: inner.decode(ids) + seed,
        )

    return attrs.evolve(trial, tokenizer=forget(0, trial.tokenizer), build=lambda seed: forget(seed, trial.build(seed)))
