"""Predictions through a model's output rows: what they begin with, and which rows they take."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from crt_vib.state_codes.places import Classes
from crt_vib.state_codes.predictor import Predictor, rows_of, shares_of


class Output(nn.Module):
    """The output layer of a model whose input and output share a matrix, with a constant added to each logit."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size, width)
        self.constant = nn.Parameter(torch.arange(size).float())
        with torch.no_grad():
            self.embedding.weight.copy_(torch.randint(-8, 8, (size, width)) / 4)  # sums are exact in bfloat16

    def logits(self, states: Tensor) -> Tensor:
        """Logits of states."""
        return nn.functional.linear(states, self.embedding.weight, self.constant)


def test_a_code_of_zeros_has_the_shares_of_training_answers() -> None:
    """Three classes that are there 2, 1 and 0 times count 2.5, 1.5 and 0.5 of 4.5."""
    shares = shares_of(torch.tensor([0, 1, 0]), 3)
    predictor = Predictor(2, torch.randn(3, 5), shares)

    chances = predictor(torch.zeros(1, 2)).softmax(-1)[0]

    torch.testing.assert_close(chances, torch.tensor([2.5, 1.5, 0.5]) / 4.5)


def test_logits_are_rows_times_the_mapped_code() -> None:
    """Rows of 3, 4 and of 0, 0 have a mean square of 12.5."""
    predictor = Predictor(2, torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([0.5, 0.5]).double())
    nn.init.eye_(predictor.inward.weight)

    logits = predictor(torch.tensor([[1.0, 2.0]]))[0]

    assert (logits[0] - logits[1]).item() == pytest.approx(11 / 12.5**0.5)


def test_rows_are_those_of_the_model_s_output_layer_and_means_of_classes() -> None:
    torch.manual_seed(0)
    model = Output(5, 8).bfloat16()
    states = torch.randn(2, 8)

    each = rows_of(model, Classes(torch.arange(5), 5))
    few = rows_of(model, Classes(torch.tensor([0, 2, 1, 2, 2]), 3))

    torch.testing.assert_close(states @ each.T, states @ model.embedding.weight.float().T)
    torch.testing.assert_close(few, torch.stack((each[0], each[2], each[[1, 3, 4]].mean(0))))
