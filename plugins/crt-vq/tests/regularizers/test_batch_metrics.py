"""The metrics that distinguish a collapse from a gain."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from crt_vq.regularizers.batch_metrics import batch_metrics, id_usage
from crtcore.kinds import Encoded


def encoded(features: Tensor, ids: Tensor | None) -> Encoded:
    """An `Encoded` of which only features and ids matter."""
    zero = features.new_zeros(len(features))
    mask = torch.ones(features.shape[:2], dtype=torch.bool)
    return Encoded(features, features, features, ids, mask, features, zero, zero, features.new_zeros(()))


def test_usage_is_the_number_of_codes_and_the_entropy_of_their_shares() -> None:
    ids = torch.tensor([[5, 5, 9], [5, -1, -1]])

    assert id_usage(ids) == {
        "codes_used": 2.0,
        "unigram_entropy": pytest.approx(0.75 * math.log(4 / 3) + 0.25 * math.log(4)),
    }


def test_a_batch_of_absent_ids_uses_no_code() -> None:
    assert id_usage(torch.full((2, 3), -1)) == {"codes_used": 0.0, "unigram_entropy": 0.0}


def test_the_norm_is_that_of_the_raw_features() -> None:
    features = torch.tensor([[[3.0, 4.0]], [[0.0, 0.0]]])

    assert batch_metrics(encoded(features, torch.tensor([[1], [1]])))["latent_norm"] == pytest.approx(2.5)


def test_continuous_codes_have_no_usage() -> None:
    assert batch_metrics(encoded(torch.zeros(1, 1, 2), None)) == {"latent_norm": 0.0}
