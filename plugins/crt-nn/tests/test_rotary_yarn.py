import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_nn.rotary import rotate, rotations
from crt_nn.rotary_yarn import frequency_factors, yarn_rotations
from crt_nn.yarn_settings import Yarn
from crtcore import FieldError

CPU = torch.device("cpu")
YARNS = st.builds(
    Yarn,
    scale=st.floats(1, 64),
    original_length=st.integers(8, 100_000),
    extrapolation=st.floats(0, 1),
    beta_fast=st.floats(2, 100),
    beta_slow=st.floats(0.1, 1.9),
)


def rotate_plain(features: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    return rotate(features, rotations(features, positions))


def rotate_yarn(features: torch.Tensor, positions: torch.Tensor, *, yarn: Yarn) -> torch.Tensor:
    return rotate(features, yarn_rotations(features, positions, yarn=yarn))


def random(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def turns(yarn: Yarn, pair: int, width: int) -> float:
    """Returns how often a pair, in range or not, turns over the original length."""
    wavelength = 2 * math.pi * 10000 ** (2 * pair / width)
    return yarn.original_length / wavelength


def speeds(yarn: Yarn, width: int) -> list[float]:
    """Returns speeds pair by pair; the ends of the ramp are searched for: the last fast pair, the first slow one."""
    first = max((pair for pair in range(-width, width) if turns(yarn, pair, width) >= yarn.beta_fast), default=0)
    last = min((pair for pair in range(4 * width) if turns(yarn, pair, width) <= yarn.beta_slow), default=4 * width)
    first, last = max(first, 0), min(last, width - 1)
    result = []
    for pair in range(width // 2):
        ramp = 0.0 if pair <= first else 1.0 if pair >= last else (pair - first) / (last - first)
        kept = (1 - ramp) * yarn.extrapolation
        own = 10000 ** (-2 * pair / width)
        result.append((1 - kept) * own / yarn.scale + kept * own)
    return result


@settings(deadline=None)
@given(yarn=YARNS, half=st.integers(1, 64))
def test_each_pair_turns_at_the_speed_of_the_source(yarn: Yarn, half: int) -> None:
    own = 10000 ** (-torch.arange(0, 2 * half, 2, dtype=torch.float64) / (2 * half))

    scaled = own * frequency_factors(yarn, 2 * half, CPU)

    torch.testing.assert_close(scaled.tolist(), speeds(yarn, 2 * half), rtol=1e-9, atol=0)


def test_the_published_settings_keep_fast_pairs_and_slow_down_slow_ones_by_the_scale() -> None:
    """Heads of 64, 1,024 positions: pair 5 turns 39 times and pair 6 29, pair 17 1.2 times and pair 18 0.9."""
    factors = frequency_factors(Yarn(scale=4, original_length=1024), 64, CPU).tolist()

    assert factors[:6] == [1.0] * 6
    assert factors[18:] == [0.25] * 14
    assert factors[6] == pytest.approx(1 / 13 / 4 + 12 / 13)


@settings(deadline=None)
@given(length=st.integers(8, 5000), extrapolation=st.floats(0, 1))
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_scale_1_is_plain_rotary_bit_for_bit(dtype: torch.dtype, length: int, extrapolation: float) -> None:
    features, positions = random(2, 3, 1, 32, dtype=dtype), torch.tensor([[0, 1, 2], [7, 500, 3000]])

    rotated = rotate_yarn(features, positions, yarn=Yarn(original_length=length, extrapolation=extrapolation))

    assert torch.equal(rotated, rotate_plain(features, positions))


def test_a_scale_above_1_is_not_plain_rotary() -> None:
    features, positions = random(1, 1, 1, 32), torch.tensor([[900]])

    rotated = rotate_yarn(features, positions, yarn=Yarn(scale=2, original_length=1024))

    assert not torch.allclose(rotated / rotated.norm(), rotate_plain(features, positions) / features.norm(), atol=1e-3)


@pytest.mark.parametrize(("factor", "length"), [(1.0, 1.1386294361), (0.5, 0.5693147181)])
def test_queries_and_keys_are_scaled(factor: float, length: float) -> None:
    """0.1 ln 4 + 1 = 1.13863; the square of it multiplies the products."""
    features = random(1, 2, 1, 8)

    rotated = rotate_yarn(features, torch.tensor([[0, 9]]), yarn=Yarn(scale=4, attention_factor=factor))

    torch.testing.assert_close(rotated.norm(dim=-1), length * features.norm(dim=-1), rtol=1e-9, atol=0)


def test_without_extrapolation_all_pairs_slow_down_by_the_same_factor() -> None:
    assert frequency_factors(Yarn(scale=8, extrapolation=0), 16, CPU).tolist() == [1 / 8] * 8


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scale": 0.5}, "scale: expected at least 1, got 0.5"),
        ({"beta_slow": 40.0}, r"beta_slow: expected more than 0 and less than beta_fast \(32.0\), got 40.0"),
        ({"beta_slow": 0.0}, "beta_slow: expected more than 0"),
    ],
)
def test_settings_that_are_not_valid_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        Yarn(**fields)  # type: ignore[arg-type]
