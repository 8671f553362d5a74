"""Widening: trained rows stay, new ones start at their mean, and other weights are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor, nn

from crt_latent.widening import widened
from crtcore import Noise
from crtcore.kinds import Prior, PriorSpec


class Bigram(nn.Module):
    """Distribution of an id given the one before: the smallest prior with rows for ids on both sides."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.embedding = nn.Embedding(vocabulary, width)
        self.inner = nn.Linear(width, width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids: Tensor, class_ids: Tensor | None = None, *, noise: Noise | None = None) -> Tensor:
        logits: Tensor = self.head(self.inner(self.embedding(ids)))
        return logits

    def open(self, ids: Tensor, class_ids: Tensor | None = None, *, capacity: int, room: int) -> Any:
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class BigramSpec(PriorSpec):
    width: int = 4

    def build(self, vocabulary: int, length: int, classes: int | None) -> Prior:
        return Bigram(vocabulary, self.width)


def trained(vocabulary: int = 5) -> Bigram:
    torch.manual_seed(0)
    return Bigram(vocabulary, 4)


def widen(weights: Mapping[str, Tensor], before: int = 5, after: int = 8) -> Bigram:
    torch.manual_seed(1)
    wider: Bigram = widened(BigramSpec(), weights, before=before, after=after, length=9, classes=None)
    return wider


def test_old_ids_keep_their_logits() -> None:
    prior = trained()
    ids = torch.arange(5)[None]

    wider = widen(prior.state_dict())(ids)

    torch.testing.assert_close(wider[..., :5], prior(ids))


def test_new_rows_are_the_mean_plus_first_values() -> None:
    prior = trained()
    torch.manual_seed(1)
    start = Bigram(8, 4).state_dict()

    wider = widen(prior.state_dict()).state_dict()

    for name in ("embedding.weight", "head.weight", "head.bias"):
        expected = prior.state_dict()[name].mean(0) + start[name][5:]
        torch.testing.assert_close(wider[name][5:], expected)
        assert torch.equal(wider[name][:5], prior.state_dict()[name])


def test_an_equal_vocabulary_keeps_all_weights() -> None:
    weights = trained().state_dict()

    wider = widen(weights, after=5).state_dict()

    assert all(torch.equal(wider[name], value) for name, value in weights.items())


def test_widening_does_not_change_its_argument() -> None:
    weights = trained().state_dict()
    before = {name: value.clone() for name, value in weights.items()}

    with torch.no_grad():
        for parameter in widen(weights).parameters():
            parameter.zero_()

    assert all(torch.equal(weights[name], value) for name, value in before.items())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda weights: weights.pop("inner.bias"), r"inner.bias: expected \[4\], .* got none"),
        (lambda weights: weights.update(more=torch.zeros(2)), r"more: expected no such tensor, .* got \[2\]"),
        (lambda weights: weights.update({"head.bias": torch.zeros(6)}), r"head.bias: expected \[8\], .* got \[6\]"),
        (lambda weights: weights.update({"inner.weight": torch.zeros(4, 5)}), r"inner.weight: expected \[4, 4\]"),
        (lambda weights: weights.update({"head.weight": torch.zeros(5, 3)}), r"head.weight: expected \[8, 4\]"),
    ],
)
def test_other_weights_are_refused(spoil: Callable[[dict[str, Tensor]], object], message: str) -> None:
    weights = dict(trained().state_dict())
    spoil(weights)

    with pytest.raises(ValueError, match=message):
        widen(weights)


def test_a_smaller_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least the 5 ids that were trained, got 4"):
        widen(trained().state_dict(), after=4)


def test_a_prior_without_weights_is_refused() -> None:
    @attrs.frozen(kw_only=True)
    class Weightless(PriorSpec):
        def build(self, vocabulary: int, length: int, classes: int | None) -> Any:
            return object()

    with pytest.raises(ValueError, match="expected a prior with weights to widen, got object"):
        widened(Weightless(), {}, before=1, after=2, length=1, classes=None)
