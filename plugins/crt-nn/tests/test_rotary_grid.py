import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_nn.rotary import rotate, rotations
from crt_nn.rotary_grid import grid_rotations


def rotate_plain(features: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    return rotate(features, rotations(features, positions))


def rotate_on_grid(features: torch.Tensor, positions: torch.Tensor, *, columns: int) -> torch.Tensor:
    return rotate(features, grid_rotations(features, positions, columns=columns))


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None)
@given(columns=st.integers(1, 7), cell=st.integers(0, 60))
def test_half_of_the_channels_encode_the_row_and_half_the_column(columns: int, cell: int) -> None:
    features = random(1, 1, 2, 8)
    row, column = divmod(cell, columns)

    rotated = rotate_on_grid(features, torch.tensor([[cell]]), columns=columns)

    torch.testing.assert_close(rotated[..., :4], rotate_plain(features[..., :4], torch.tensor([[row]])))
    torch.testing.assert_close(rotated[..., 4:], rotate_plain(features[..., 4:], torch.tensor([[column]])))


def test_features_on_no_cell_become_0() -> None:
    features = random(2, 3, 1, 4)

    rotated = rotate_on_grid(features, torch.tensor([[-1, 0, 1], [4, -1, -5]]), columns=2)

    assert (rotated == 0).all(-1)[..., 0].tolist() == [[True, False, False], [False, True, True]]


def test_bfloat16_keeps_its_type() -> None:
    features = torch.ones(1, 2, 1, 4, dtype=torch.bfloat16)

    assert rotate_on_grid(features, torch.tensor([[0, 1]]), columns=1).dtype == torch.bfloat16
