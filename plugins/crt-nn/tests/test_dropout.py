import pytest
import torch
from torch import nn

from crt_nn.context import AttentionContext
from crt_nn.dropout import Dropout, WithDropout
from crt_nn.swiglu import SwiGLU

POSITIONS = torch.arange(40).expand(50, -1)


def at(step: int | None) -> AttentionContext:
    return AttentionContext(POSITIONS, step=None if step is None else torch.tensor(step))


def seeded(share: float, seed: int = 0) -> Dropout:
    torch.manual_seed(seed)
    return Dropout(share)


def test_outside_of_training_nothing_is_dropped() -> None:
    features = torch.randn(50, 40, 3)

    assert seeded(0.5)(features, at(None)) is features


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_a_share_is_dropped_and_the_rest_is_scaled_up(dtype: torch.dtype) -> None:
    dropped = seeded(0.25)(torch.ones(50, 40, 25, dtype=dtype), at(3))

    kept = dropped != 0
    assert dropped.dtype == dtype
    assert torch.equal(dropped[kept], torch.full_like(dropped[kept], 1 / 0.75))
    assert abs(int((~kept).sum()) - 12_500) < 490  # 5 standard deviations of 96.8: 6e-7 by the normal distribution


@pytest.mark.parametrize(
    ("seed", "step", "same"), [(0, 3, True), (1, 3, False), (0, 4, False)], ids=["both alike", "seed", "step"]
)
def test_a_mask_depends_on_seed_and_step(seed: int, step: int, same: bool) -> None:
    features = torch.ones(50, 40, 3)

    assert torch.equal(seeded(0.5, seed)(features, at(step)), seeded(0.5)(features, at(3))) == same


def test_a_mask_depends_on_the_place_of_a_row_and_not_on_the_batch_size() -> None:
    dropout, features = seeded(0.5), torch.ones(50, 40, 3)

    together = dropout(features, at(3))

    assert torch.equal(dropout(features[:7], at(3)), together[:7])
    assert torch.equal(dropout(features[:, :9], at(3)), together[:, :9])
    assert not torch.equal(together[0], together[1])


def test_torch_s_generator_is_not_advanced() -> None:
    dropout = seeded(0.5)
    before = torch.get_rng_state()

    dropout(torch.ones(50, 40, 3), at(3))

    assert torch.equal(torch.get_rng_state(), before)


def test_the_seed_is_not_in_the_state_dict() -> None:
    assert not seeded(0.5).state_dict()


def test_outside_of_training_a_sub_layer_is_unchanged() -> None:
    torch.manual_seed(0)
    inner: nn.Module = SwiGLU(4, hidden=8)
    features = torch.randn(50, 40, 4)

    assert torch.equal(WithDropout(inner, 0.5)(features, at(None)), inner(features, at(None)))
