"""Whitened components: unit covariance on the data they come from, and those of most variance."""

from __future__ import annotations

import torch
from torch import Tensor

from crt_basics.metrics.whitened import Whitened, whitened
from crt_laws.laws.metric_cases import images
from crt_run.streams import Moments


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fitted(data: Tensor, dimensions: int) -> Whitened:
    moments = Moments()
    moments.update(data.flatten(1))
    return Whitened(moments, dimensions)


def test_training_data_have_unit_covariance_and_mean_zero() -> None:
    data = normal(0, 200, 3, 4) * torch.arange(1.0, 13).reshape(3, 4) + 5

    features = fitted(data, 7)(data)

    torch.testing.assert_close(features.T.cov(), torch.eye(7).double(), rtol=0, atol=1e-10)
    torch.testing.assert_close(features.mean(0), torch.zeros(7).double(), rtol=0, atol=1e-10)


def test_the_components_kept_are_those_of_most_variance() -> None:
    white = torch.linalg.qr(normal(0, 50, 3) - normal(0, 50, 3).mean(0)).Q
    data = white * torch.tensor([1.0, 10.0, 3.0])

    features = fitted(data, 2)(torch.eye(3).double())

    result = (features - features.mean(0)).abs()
    assert result[:, 1].argmax() == 1
    assert result[:, 0].argmax() == 2


def test_metrics_of_one_run_share_a_fit() -> None:
    train = images(0, 30, 300, 3).fitting()

    one, other, wider = whitened(train, 4), whitened(train, 4), whitened(train, 5)

    assert one is other
    assert wider.scaled.shape == (9, 5)
    assert whitened(images(0, 30, 300, 3).fitting(), 4) is not one
