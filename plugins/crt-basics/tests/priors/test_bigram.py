"""The bigram: its counts, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from crt_basics.priors.bigram import MOST
from crt_basics.priors.specs import Bigram
from crt_laws import obeys
from crt_run.training.derived import Derived
from crtcore.errors import RunError

test_the_example = obeys(Bigram())


def test_probabilities_are_the_shares_of_pairs_and_of_one_more_pair() -> None:
    prior: Any = Bigram().build(3, 4, 2)
    prior.derive(None, (), torch.tensor([[0, 1, 0, 1], [1, 1, -1, -1]]), torch.tensor([0, 1]))

    rows = prior(torch.tensor([[0, 1, 2]]), torch.tensor([1])).softmax(-1)[0]

    one = torch.tensor([3, 5, 1], dtype=torch.float64) / 9  # two, four and no occurrences, and one more of each
    torch.testing.assert_close(rows[0], (torch.tensor([1, 1, 0]) + one) / 3)  # what begins a sample
    torch.testing.assert_close(rows[1], (torch.tensor([0, 2, 0]) + one) / 3)  # after 0
    torch.testing.assert_close(rows[2], (torch.tensor([1, 1, 0]) + one) / 3)  # after 1
    torch.testing.assert_close(rows[3], one)  # after 2, which nothing followed


def test_it_is_no_prior_before_it_has_counted() -> None:
    prior = Bigram().build(3, 4, None)

    assert isinstance(prior, Derived)
    with pytest.raises(RunError, match=r"^bigram: expected training ids, got none yet"):
        prior(torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(RunError, match=r"^bigram: expected training ids, got none yet"):
        prior.open(torch.zeros(1, 2, dtype=torch.long), capacity=3, room=1)


def test_a_vocabulary_whose_pairs_do_not_fit_is_refused() -> None:
    with pytest.raises(RunError, match=r"^bigram: expected at most 4,096 ids, as their pairs are a table, got 4,097$"):
        Bigram().build(MOST + 1, 4, None)
