import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_nn.rotary import rotate, rotations


def turned(features: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    return rotate(features, rotations(features, positions))


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None)
@given(near=st.integers(0, 50), far=st.integers(0, 50), shift=st.integers(0, 1000))
def test_products_depend_on_the_difference_of_positions_alone(near: int, far: int, shift: int) -> None:
    query, key = random(1, 1, 2, 6), random(1, 1, 2, 6, seed=1)

    def product(offset: int) -> torch.Tensor:
        rotated = turned(query, torch.tensor([[near + offset]])) * turned(key, torch.tensor([[far + offset]]))
        return rotated.sum(-1)

    torch.testing.assert_close(product(shift), product(0), rtol=1e-9, atol=1e-9)


def test_pairs_are_multiplied_by_unit_complex_numbers() -> None:
    features, positions = random(2, 3, 1, 4), torch.tensor([[0, 1, 2], [7, 5, 3]])
    angles = positions[..., None, None] * torch.tensor([1.0, 10000.0**-0.5], dtype=torch.float64)

    rotated = turned(features, positions)

    expected = torch.view_as_complex(features.view(2, 3, 1, 2, 2)) * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(rotated, torch.view_as_real(expected).flatten(-2), rtol=1e-12, atol=1e-12)


def test_bfloat16_keeps_its_type_and_far_positions_apart() -> None:
    features = torch.ones(1, 2, 1, 2, dtype=torch.bfloat16)

    rotated = turned(features, torch.tensor([[1000, 1001]]))  # equal, if angles were computed in bfloat16

    assert rotated.dtype == torch.bfloat16
    assert not torch.equal(rotated[:, 0], rotated[:, 1])
