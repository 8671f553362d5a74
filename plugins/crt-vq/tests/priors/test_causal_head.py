"""The causal head as a prior: its equation, what it is fitted to, what it is made of, and what is refused.

Axes: b batch, n ids of a sample, k codes, d code width.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crt_run.training.derived import Derived
from crt_vq import VQ, Causal, CausalHead, Conv, ResidualVQ
from crt_vq.priors.causal_head import CausalHeadPrior
from crt_vq.priors.fitting import fitted
from crt_vq.regularizers.next_latent import NextLatentPredictor
from crtcore.errors import RunError

CODES, LENGTH, CLASSES = 5, 16, 3
IMAGES = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
CLASS_IDS = torch.arange(20) % CLASSES


def parts(bottleneck: Any = None, **fields: Any) -> tuple[Any, Any]:
    """A tokenizer of 16 ids and its regulariser, with first values."""
    torch.manual_seed(0)
    tokenizer = Conv(channels=8).build((bottleneck or VQ(codes=CODES, width=4)).build(), IMAGES)
    return tokenizer, Causal(**{"layers": 2, "width": 8, "heads": 2, **fields}).build(tokenizer)


def derived(*, class_bias: bool = False, **fields: Any) -> tuple[CausalHeadPrior, Any, Any]:
    tokenizer, regularizer = parts(**fields)
    prior: Any = CausalHead(class_bias=class_bias).build(CODES, LENGTH, CLASSES)
    prior.derive(tokenizer, [regularizer], tokenizer.encode(IMAGES), CLASS_IDS)
    return prior, tokenizer, regularizer


@pytest.mark.parametrize("layers", [0, 2])
def test_an_id_s_probability_falls_with_the_squared_distance_of_its_code_from_the_prediction(layers: int) -> None:
    prior, tokenizer, regularizer = derived(layers=layers)
    ids = tokenizer.encode(IMAGES)

    probabilities = prior(ids, CLASS_IDS).softmax(-1)[:, 1:-1]

    codes = tokenizer.bottleneck.lookup(torch.arange(CODES)[None])[0]  # k d
    predicted = regularizer.foreteller(codes[ids], torch.ones_like(ids, dtype=torch.bool))  # b n-1 d
    distances = (predicted[:, :, None] - codes).square().sum(-1)  # b n-1 k
    torch.testing.assert_close(probabilities, (-distances * prior.inverse).softmax(-1), rtol=1e-4, atol=1e-6)


def test_the_first_id_is_predicted_by_the_mean_of_the_first_codes() -> None:
    prior, tokenizer, _ = derived()
    codes = tokenizer.bottleneck.lookup(torch.arange(CODES)[None])[0]
    mean = codes[tokenizer.encode(IMAGES)[:, 0]].mean(0)

    first = prior(torch.empty(1, 0, dtype=torch.long)).softmax(-1)[0, 0]

    torch.testing.assert_close(first, (-(mean - codes).square().sum(-1) * prior.inverse).softmax(-1))


def drawn(logits: Tensor) -> Tensor:
    """An id for each row."""
    return torch.multinomial(logits.softmax(-1), 1, generator=torch.Generator().manual_seed(3))[:, 0]


def test_the_temperature_is_that_of_the_law_which_drew_the_ids() -> None:
    nearness = torch.randn(40_000, CODES, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    inverse, bias = fitted(nearness, drawn(nearness / 0.4))

    assert float(inverse) == pytest.approx(1 / 0.4, rel=0.03)  # 5 standard errors: 1 / sqrt(40,000 * 0.6) of it each
    assert bias is None


def test_no_other_temperature_makes_the_ids_likelier() -> None:
    generator = torch.Generator().manual_seed(2)
    nearness = torch.randn(60, CODES, generator=generator).double()
    ids = torch.randint(CODES, (60,), generator=generator)

    inverse, _ = fitted(nearness, ids)

    def cost(value: Tensor) -> float:
        return float(nn.functional.cross_entropy(value * nearness, ids))

    assert all(cost(inverse) <= cost(inverse + step) for step in (-0.1, -1e-3, 1e-3, 0.1))


def test_the_logits_of_a_class_are_those_of_the_law_which_drew_its_ids() -> None:
    generator = torch.Generator().manual_seed(2)
    nearness = torch.randn(60_000, CODES, generator=generator, dtype=torch.float64)
    bias = torch.tensor([[0.0, 1, -1, 0, 0], [0.5, 0, 0, -1, 0.5]], dtype=torch.float64)
    class_ids = torch.arange(60_000) % 2

    inverse, logits = fitted(nearness, drawn(2 * nearness + bias[class_ids]), class_ids, 2)

    assert logits is not None
    assert float(inverse) == pytest.approx(2, rel=0.04)
    centred = logits[:2] - logits[:2].mean(1, keepdim=True)  # a constant changes no probability
    torch.testing.assert_close(centred, bias, rtol=0, atol=0.1)
    assert not logits[2].any()  # no class


def test_a_class_moves_the_head_with_a_bias_and_no_other() -> None:
    free, tokenizer, _ = derived()
    biased, _, _ = derived(class_bias=True)
    ids = tokenizer.encode(IMAGES)

    assert torch.equal(free(ids, CLASS_IDS), free(ids))
    assert not torch.allclose(biased(ids, CLASS_IDS), biased(ids))


def test_later_training_of_the_regulariser_does_not_change_the_prior() -> None:
    prior, tokenizer, regularizer = derived()
    ids = tokenizer.encode(IMAGES)
    before = prior(ids)

    with torch.no_grad():
        for parameter in [*regularizer.parameters(), *tokenizer.parameters()]:
            parameter.add_(1)

    assert torch.equal(prior(ids), before)
    assert not any(parameter.requires_grad for parameter in prior.parameters())


def test_absent_ids_do_not_change_the_fit() -> None:
    tokenizer, regularizer = parts()
    ids = tokenizer.encode(IMAGES)
    codes = tokenizer.bottleneck.lookup(torch.arange(CODES)[None])[0]
    short: Any = CausalHead().build(CODES, LENGTH, None)
    padded: Any = CausalHead().build(CODES, LENGTH, None)

    short.take(regularizer.foreteller.head, codes, ids[:, :9], None)
    padded.take(regularizer.foreteller.head, codes, torch.cat((ids[:, :9], torch.full((20, 7), -1)), 1), None)

    torch.testing.assert_close(padded.inverse, short.inverse, rtol=1e-4, atol=0)


def test_it_is_no_prior_before_it_is_derived() -> None:
    prior = CausalHead().build(CODES, LENGTH, None)

    assert isinstance(prior, Derived)
    with pytest.raises(RunError, match=r"^causal-head: expected a tokenizer's head, got none yet; it is taken by"):
        prior(torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(RunError, match=r"^causal-head: expected a tokenizer's head, got none yet; it is taken by"):
        prior.open(torch.zeros(1, 2, dtype=torch.long), capacity=3, room=1)


@pytest.mark.parametrize("count", [0, 2])
def test_it_needs_one_causal_regulariser(count: int) -> None:
    tokenizer, regularizer = parts()
    prior: Any = CausalHead().build(CODES, LENGTH, None)

    with pytest.raises(RunError, match=rf"^causal-head: expected one regulariser 'causal', whose .*, got {count}$"):
        prior.derive(tokenizer, [regularizer] * count, tokenizer.encode(IMAGES), None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"error": "nll"}, "error = 'l2', got 'nll'"),
        ({"first": "learned"}, "first = 'skip', got 'learned'"),
        ({"order": tuple(range(16))[::-1]}, r"order = \(\), got \(15, "),
        ({"head": "mixing"}, "head = 'transformer', got 'mixing'"),
        ({"space": "raw"}, "space = 'compared' or 'straight-through', got 'raw'"),
    ],
)
def test_a_head_that_predicts_something_else_is_refused(fields: dict[str, Any], message: str) -> None:
    tokenizer, regularizer = parts(**fields)
    prior: Any = CausalHead().build(CODES, LENGTH, None)

    with pytest.raises(RunError, match=f"^causal-head: expected a regulariser 'causal' with {message}"):
        prior.derive(tokenizer, [regularizer], tokenizer.encode(IMAGES), None)


def test_a_bottleneck_with_several_codes_for_each_feature_is_refused() -> None:
    tokenizer, regularizer = parts(ResidualVQ(codes=CODES, width=4, depth=2))
    prior: Any = CausalHead().build(CODES, tokenizer.length, None)

    with pytest.raises(RunError, match="expected a bottleneck with one code for each id, such as 'vq', got Residual"):
        prior.derive(tokenizer, [regularizer], tokenizer.encode(IMAGES), None)


def test_a_bias_of_classes_needs_classes() -> None:
    with pytest.raises(RunError, match=r"^causal-head: expected data with classes for `class_bias`, got data without$"):
        CausalHead(class_bias=True).build(CODES, LENGTH, None)


def test_a_head_reads_no_id_beyond_those_it_has_positions_for() -> None:
    prior: Any = CausalHead().build(CODES, 4, None)
    predictor = NextLatentPredictor(Causal(layers=1, width=8, heads=2), 3, 3, 4)
    prior.take(predictor.head, torch.randn(CODES, 3), torch.randint(CODES, (8, 4)), None)

    with pytest.raises(ValueError, match="expected at most 4 ids a row, got 5"):
        prior(torch.zeros(1, 5, dtype=torch.long))
