import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_ar.llama.rotary import scaled_rotations, scaled_speeds
from crt_ar.llama.shape import RopeScaling
from crt_nn.rotary import rotate, rotations


def published(speeds: torch.Tensor, scaling: RopeScaling) -> torch.Tensor:
    """Computes speeds by wavelengths, one pair after another.

    Source: huggingface/transformers, modeling_rope_utils.py, `_compute_llama3_parameters`.
    """
    result = []
    for speed in speeds.tolist():
        wavelength = 2 * math.pi / speed
        if wavelength < scaling.original / scaling.high:
            result.append(speed)
        elif wavelength > scaling.original / scaling.low:
            result.append(speed / scaling.factor)
        else:
            smooth = (scaling.original / wavelength - scaling.low) / (scaling.high - scaling.low)
            result.append((1 - smooth) * speed / scaling.factor + smooth * speed)
    return torch.tensor(result, dtype=speeds.dtype)


@settings(deadline=None)
@given(
    factor=st.floats(1, 64),
    low=st.floats(0.5, 2),
    gap=st.floats(0.1, 8),
    original=st.integers(8, 8192),
    base=st.floats(2, 1e6),
)
def test_speeds_are_those_of_the_published_wavelengths(
    factor: float, low: float, gap: float, original: int, base: float
) -> None:
    speeds = base ** -(torch.arange(0, 64, 2, dtype=torch.float64) / 64)
    scaling = RopeScaling(factor, low, low + gap, original)

    torch.testing.assert_close(scaled_speeds(speeds, scaling), published(speeds, scaling), rtol=1e-9, atol=0)


def test_published_settings_keep_some_pairs_slow_some_and_interpolate_others() -> None:
    speeds = 500_000.0 ** -(torch.arange(0, 64, 2, dtype=torch.float64) / 64)

    ratio = speeds / scaled_speeds(speeds, RopeScaling(32.0, 1.0, 4.0, 8192))

    assert ratio.min() == 1
    assert ratio.max() == pytest.approx(32)
    assert ((ratio > 1) & (ratio < 31)).any()


def test_without_scaling_the_usual_base_is_plain_rotary_bit_for_bit() -> None:
    features, positions = torch.randn(2, 3, 1, 8), torch.tensor([[0, 1, 2], [7, 5, 3]])

    rotated = rotate(features, scaled_rotations(features, positions, base=10_000.0, scaling=None))

    assert torch.equal(rotated, rotate(features, rotations(features, positions)))
