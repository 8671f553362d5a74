"""The information of Gaussian codes of a Gaussian lies between the two estimates."""

from __future__ import annotations

import math

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from crt_vib.gaussian.posterior import Posterior
from crt_vib.gaussian.sandwich import Sandwich, sandwich

GROUPS = 200


def groups(nats: float, count: int, seed: int = 0) -> Sandwich:
    """Means over each of 200 groups of `count` samples x of N(0, 1), whose codes x + noise have `nats` of them."""
    generator = torch.Generator().manual_seed(seed)
    scale = 1 / math.sqrt(math.expm1(2 * nats))  # ln(1 + 1 / scale^2) / 2
    means = torch.randn(GROUPS, count, 1, generator=generator, dtype=torch.float64)
    codes = means + scale * torch.randn(GROUPS, count, 1, generator=generator, dtype=torch.float64)
    estimates = [
        sandwich(each, Posterior(mean, torch.full_like(mean, scale))) for each, mean in zip(codes, means, strict=True)
    ]
    return Sandwich(
        torch.stack([each.lower.mean() for each in estimates]), torch.stack([each.upper.mean() for each in estimates])
    )


def error(means: torch.Tensor) -> float:
    """Five standard errors of 200 groups: false alarms at 6e-7."""
    return 5 * float(means.std()) / GROUPS**0.5


@pytest.mark.parametrize("nats", [0.1, 0.7, 1.5])
@pytest.mark.parametrize("count", [2, 16, 128])
def test_the_information_lies_between(nats: float, count: int) -> None:
    lower, upper = groups(nats, count)

    assert float(lower.mean()) <= nats + error(lower)
    assert float(upper.mean()) >= nats - error(upper)


@pytest.mark.parametrize("nats", [0.1, 0.7, 1.5])
def test_both_estimates_converge_to_the_information(nats: float) -> None:
    lower, upper = groups(nats, 512)

    assert float(lower.mean()) == pytest.approx(nats, abs=0.02 + error(lower))
    assert float(upper.mean()) == pytest.approx(nats, abs=0.02 + error(upper))


def test_the_lower_estimate_is_at_most_the_logarithm_of_the_samples() -> None:
    lower, upper = groups(6.0, 32)

    assert float(lower.max()) <= math.log(32)
    assert float(upper.mean()) > 6.0 - error(upper)


def test_codes_that_do_not_depend_on_samples_have_no_information() -> None:
    codes = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))

    lower, upper = sandwich(codes, Posterior(torch.zeros(64, 3), torch.ones(64, 3)))

    torch.testing.assert_close(lower, torch.zeros(64), atol=1e-5, rtol=0)
    torch.testing.assert_close(upper, torch.zeros(64), atol=1e-5, rtol=0)


def test_distinguishable_samples_have_the_logarithm_of_their_number() -> None:
    means = 100 * torch.arange(5, dtype=torch.float64)[:, None]

    lower, _ = sandwich(means, Posterior(means, torch.ones_like(means)))

    assert lower.tolist() == pytest.approx([math.log(5)] * 5)


def test_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    posterior = Posterior(torch.randn(50, 4, generator=generator), torch.rand(50, 4, generator=generator) + 0.5)
    codes = posterior.mean + 0.1
    whole = sandwich(codes, posterior)

    monkeypatch.setattr("crt_vib.gaussian.sandwich.TILE", 7 * 50 * 4)
    tiled = sandwich(codes, posterior)

    torch.testing.assert_close(whole, tiled)


def test_one_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 2 samples, got 1"):
        sandwich(torch.zeros(1, 2), Posterior(torch.zeros(1, 2), torch.ones(1, 2)))


def test_no_tensor_is_made_on_another_device() -> None:
    """Of fake tensors: no accelerator is there, and each operation checks that its tensors are on one."""
    with FakeTensorMode():  # type: ignore[no-untyped-call]
        codes, mean = (torch.empty(6, 1, 2, device="meta") for _ in range(2))

        estimates = sandwich(codes, Posterior(mean, torch.empty_like(mean)))

        assert {each.device.type for each in estimates} == {"meta"}
