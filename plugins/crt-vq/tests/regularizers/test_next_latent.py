"""Next-latent prediction: which latents are targets, in which order, and what they depend on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from crt_vq import Causal
from crt_vq.regularizers.next_latent import NextLatentPredictor, mean_present
from crtcore import FieldError

ORDER = (3, 0, 4, 2, 1)
WHOLE = torch.ones(2, 5, dtype=torch.bool)


def predictor(**fields: Any) -> NextLatentPredictor:
    """A small predictor for samples of five latents of three channels, in float64."""
    torch.manual_seed(0)
    return NextLatentPredictor(Causal(**{"layers": 2, "width": 8, "heads": 2, **fields}), 3, 3, 5).double()


def drawn(*shape: int) -> Tensor:
    """Normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"layers": 0},
        {"head": "mixing"},
        {"head": "masked"},
        {"order": ORDER, "head": "masked", "first": "learned"},
        {"first": "learned"},
        {"order": ORDER},
        {"order": ORDER, "layers": 0},
        {"order": ORDER, "head": "mixing", "first": "learned"},
        {"order": ORDER, "first": "learned"},
    ],
    ids=str,
)
def test_a_prediction_depends_only_on_the_latents_before_it(fields: dict[str, Any], place: int) -> None:
    built = predictor(**fields)
    latents = drawn(2, 5, 3)
    touched = latents.clone()
    touched[:, place] += 1
    ranks = torch.tensor(fields.get("order", range(5))).argsort()  # of each place
    target_ranks = built.targets(ranks[None])[0]

    before, after = built(latents, WHOLE), built(touched, WHOLE)

    changed = (before != after).flatten(2).any(2).any(0)
    assert not changed[target_ranks <= ranks[place]].any()
    assert changed[target_ranks == ranks[place] + 1].all()


def test_a_masked_head_sees_all_latents_before_by_its_direct_connections_alone() -> None:
    built = predictor(head="masked")
    built.head.predict.map.weight.data.zero_()
    latents = drawn(2, 5, 3).requires_grad_()

    (gradient,) = torch.autograd.grad(built(latents, WHOLE)[:, -1].sum(), latents)

    assert gradient[:, :4].all()


def test_without_layers_only_the_previous_latent_counts() -> None:
    built = predictor(layers=0)
    latents = drawn(2, 5, 3)

    predicted = built(latents, WHOLE)

    assert torch.equal(predicted, built.head(latents)[:, :-1])


@pytest.mark.parametrize(
    ("fields", "targets"),
    [
        ({}, [1, 2, 3, 4]),
        ({"first": "learned"}, [0, 1, 2, 3, 4]),
        ({"order": ORDER}, [0, 4, 2, 1]),
        ({"order": ORDER, "first": "learned"}, [3, 0, 4, 2, 1]),
    ],
    ids=str,
)
def test_all_codes_but_a_skipped_first_one_are_targets_in_order(fields: dict[str, Any], targets: list[int]) -> None:
    built = predictor(**fields)

    places = built.targets(torch.arange(5)[None])

    assert places.tolist() == [targets]


def test_an_order_is_the_same_as_latents_permuted_in_that_order() -> None:
    latents = drawn(2, 5, 3)

    ordered = predictor(order=ORDER)(latents, WHOLE)

    assert torch.equal(ordered, predictor()(latents[:, list(ORDER)], WHOLE))


def test_the_first_latent_is_predicted_from_a_learned_one() -> None:
    built = predictor(first="learned")

    predicted = built(drawn(2, 5, 3), WHOLE)[:, 0]
    predicted.sum().backward()

    assert torch.equal(predicted[0], predicted[1])
    assert built.first is not None
    assert built.first.grad is not None
    assert built.first.grad.any()


def test_the_mean_is_over_present_errors() -> None:
    errors = torch.tensor([[1.0, 100.0], [2.0, 3.0]])
    present = torch.tensor([[True, False], [True, True]])

    assert mean_present(errors, present).item() == 2
    assert mean_present(errors, present & False).item() == 0


def test_an_order_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an order of 5 positions, got one of 3"):
        predictor(order=(2, 0, 1))


@pytest.mark.parametrize("order", [(0, 0, 1), (1, 2, 3), (0, 2)])
def test_an_order_that_is_no_permutation_is_refused(order: tuple[int, ...]) -> None:
    with pytest.raises(FieldError, match="order: expected each position, from 0 on, once, got "):
        Causal(order=order)
