"""What is foretold, in which order, and from what."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from crt_vq import Causal
from crt_vq.regularizers.next_latent import Foreteller, mean_present
from crtcore import FieldError

ORDER = (3, 0, 4, 2, 1)
WHOLE = torch.ones(2, 5, dtype=torch.bool)


def foreteller(**fields: Any) -> Foreteller:
    """A small one for samples of five latents of three channels, in float64."""
    torch.manual_seed(0)
    return Foreteller(Causal(**{"layers": 2, "width": 8, "heads": 2, **fields}), 3, 3, 5).double()


def drawn(*shape: int) -> Tensor:
    """Normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"layers": 0},
        {"first": "learned"},
        {"order": ORDER},
        {"order": ORDER, "layers": 0},
        {"order": ORDER, "first": "learned"},
    ],
    ids=str,
)
def test_what_is_said_of_a_latent_hangs_on_those_before_it_alone(fields: dict[str, Any], place: int) -> None:
    reader = foreteller(**fields)
    latents = drawn(2, 5, 3)
    touched = latents.clone()
    touched[:, place] += 1
    ranks = torch.tensor(fields.get("order", range(5))).argsort()  # of each place
    told = reader.foretold(ranks[None])[0]

    before, after = reader(latents, WHOLE), reader(touched, WHOLE)

    changed = (before != after).flatten(2).any(2).any(0)
    assert not changed[told <= ranks[place]].any()
    assert changed[told == ranks[place] + 1].all()


def test_without_layers_only_the_latent_before_counts() -> None:
    reader = foreteller(layers=0)
    latents = drawn(2, 5, 3)

    said = reader(latents, WHOLE)

    assert torch.equal(said, reader.head(latents)[:, :-1])


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, [1, 2, 3, 4]),
        ({"first": "learned"}, [0, 1, 2, 3, 4]),
        ({"order": ORDER}, [0, 4, 2, 1]),
        ({"order": ORDER, "first": "learned"}, [3, 0, 4, 2, 1]),
    ],
    ids=str,
)
def test_all_but_a_first_code_that_is_skipped_are_foretold_in_order(fields: dict[str, Any], told: list[int]) -> None:
    reader = foreteller(**fields)

    places = reader.foretold(torch.arange(5)[None])

    assert places.tolist() == [told]


def test_reading_in_an_order_is_reading_what_was_put_in_that_order() -> None:
    latents = drawn(2, 5, 3)

    ordered = foreteller(order=ORDER)(latents, WHOLE)

    assert torch.equal(ordered, foreteller()(latents[:, list(ORDER)], WHOLE))


def test_the_first_latent_is_foretold_from_one_that_is_learned() -> None:
    reader = foreteller(first="learned")

    said = reader(drawn(2, 5, 3), WHOLE)[:, 0]
    said.sum().backward()

    assert torch.equal(said[0], said[1])
    assert reader.first is not None
    assert reader.first.grad is not None
    assert reader.first.grad.any()


def test_a_mean_is_over_what_is_present() -> None:
    errors = torch.tensor([[1.0, 100.0], [2.0, 3.0]])
    present = torch.tensor([[True, False], [True, True]])

    assert mean_present(errors, present).item() == 2
    assert mean_present(errors, present & False).item() == 0


def test_an_order_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an order of 5 positions, got one of 3"):
        foreteller(order=(2, 0, 1))


@pytest.mark.parametrize("order", [(0, 0, 1), (1, 2, 3), (0, 2)])
def test_an_order_that_is_no_permutation_is_refused(order: tuple[int, ...]) -> None:
    with pytest.raises(FieldError, match=f"order: expected each number from 0 to {len(order) - 1} once, got "):
        Causal(order=order)
