"""Tokenizers that break one law each: a sound tokenizer with one change."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import Tensor, nn

from crtcore.kinds.tokenizer import Encoded, Tokenizer
from crtcore.noise import Noise

if TYPE_CHECKING:
    from crt_laws.laws.tokenizer_cases import Trial


class Altered(nn.Module):
    """A sound tokenizer with changes by name: `call`, `encode`, `decode`, which get the sound one, and `vocabulary`.

    `noisy` changes the output where there is noise, and with `counts` it counts its passes.
    """

    steps: Tensor

    def __init__(self, inner: Tokenizer, **changes: Any) -> None:
        super().__init__()
        self.inner = inner
        self.changes = changes
        self.width, self.length = inner.width, inner.length
        self.vocabulary: int | None = changes.get("vocabulary", inner.vocabulary)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, data: Tensor, class_ids: Tensor | None = None, *, noise: Noise | None = None) -> Encoded:
        """The whole pass, changed by `call` and `noisy`."""
        self.steps += self.changes.get("counts", False)
        sound = partial(self.inner, noise=noise)
        encoded: Encoded = self.changes.get("call", lambda inner, data: inner(data))(sound, data)
        return self.changes["noisy"](encoded) if noise is not None and "noisy" in self.changes else encoded

    def encode(self, data: Tensor, class_ids: Tensor | None = None) -> Tensor:
        """The first half, changed by `encode`."""
        ids: Tensor = self.changes.get("encode", lambda inner, data: inner.encode(data))(self.inner, data)
        return ids

    def decode(self, ids: Tensor, class_ids: Tensor | None = None) -> Tensor:
        """The second half, changed by `decode`."""
        data: Tensor = self.changes.get("decode", lambda inner, ids: inner.decode(ids))(self.inner, ids)
        return data


def altered(**changes: Any) -> Callable[[Trial], Trial]:
    """Changes the tokenizer under test, and every one built under another seed."""

    def plant(trial: Trial) -> Trial:
        def build(seed: int) -> Tokenizer:
            return Altered(trial.build(seed), **changes)

        return attrs.evolve(trial, tokenizer=Altered(trial.tokenizer, **changes), build=build)

    return plant


def replaced(change: Callable[[Encoded], dict[str, Any]]) -> Callable[[Any, Tensor], Encoded]:
    """A whole pass with some fields of its output replaced."""

    def call(inner: Any, data: Tensor) -> Encoded:
        encoded: Encoded = inner(data)
        return encoded._replace(**change(encoded))

    return call


def placed(encoded: Encoded) -> Encoded:
    """Rates that depend on a sample's place in the batch."""
    return encoded._replace(rate=encoded.rate + torch.arange(len(encoded.rate)))


def forgetful(trial: Trial) -> Trial:
    """Adds a number to reconstructions that is not in its state."""

    def forget(seed: int, inner: Tokenizer) -> Tokenizer:
        return Altered(
            inner,
            call=replaced(lambda encoded: {"reconstruction": encoded.reconstruction + seed}),
            decode=lambda inner, ids: inner.decode(ids) + seed,
        )

    return attrs.evolve(trial, tokenizer=forget(0, trial.tokenizer), build=lambda seed: forget(seed, trial.build(seed)))
