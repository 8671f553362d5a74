from __future__ import annotations

import pytest
import torch

from crt_vib import Rate, RateSquared, RateTarget
from crtcore.kinds import Encoded, RegularizerSpec, Tokenizer


def encoded(rates: list[float]) -> Encoded:
    """An `Encoded` of which only the rates matter."""
    rate = torch.tensor(rates, requires_grad=True)
    some, none = torch.zeros(len(rates), 1, 1), torch.zeros(len(rates))
    mask = torch.ones(len(rates), 1, dtype=torch.bool)
    return Encoded(some, some, some, None, mask, some, none, rate, none.sum())


@pytest.mark.parametrize(
    ("spec", "loss", "slope"),
    [
        (Rate(), 2.0, 1.0),
        (RateSquared(), 4.0, 4.0),
        (RateTarget(target=5.0), 3.0, -1.0),
        (RateTarget(target=0.5), 1.5, 1.0),
    ],
)
def test_the_price_is_a_function_of_the_mean_rate(
    spec: RegularizerSpec, loss: float, slope: float, tokenizer: Tokenizer
) -> None:
    batch = encoded([1.0, 3.0])

    penalty = spec.build(tokenizer)(torch.zeros(2, 1), batch, 0.5)
    penalty.loss.backward()  # type: ignore[no-untyped-call]

    assert float(penalty.loss) == loss
    assert batch.rate.grad is not None
    assert batch.rate.grad.tolist() == [slope / 2, slope / 2]
    assert float(penalty.own_loss) == 0
    assert penalty.metrics == {"price": loss}


@pytest.fixture
def tokenizer() -> Tokenizer:
    """Any tokenizer."""
    from crt_basics.bottlenecks.specs import FSQ
    from crt_laws.toys import Patches

    return Patches().build(FSQ().build(), torch.zeros(2, 1, 8, 8))
