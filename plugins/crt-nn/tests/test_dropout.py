import pytest
import torch
from torch import Tensor, nn

from crt_nn.block import Stack
from crt_nn.context import AttentionContext
from crt_nn.dropout import Dropout, WithDropout
from crt_nn.swiglu import SwiGLU
from crtcore import Noise

POSITIONS = torch.arange(40).expand(50, -1)


def at(first: int | None, stream: str = "test") -> AttentionContext:
    """A context with noise whose seeds count from `first`; None: without noise."""
    return AttentionContext(POSITIONS, noise=None if first is None else Noise(torch.arange(50) + first, stream))


def test_without_noise_nothing_is_dropped() -> None:
    features = torch.randn(50, 40, 3)

    assert Dropout(0.5)(features, at(None)) is features


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_a_share_is_dropped_and_the_rest_is_scaled_up(dtype: torch.dtype) -> None:
    dropped = Dropout(0.25)(torch.ones(50, 40, 25, dtype=dtype), at(3))

    kept = dropped != 0
    assert dropped.dtype == dtype
    assert torch.equal(dropped[kept], torch.full_like(dropped[kept], 1 / 0.75))
    assert abs(int((~kept).sum()) - 12_500) < 490  # 5 standard deviations of 96.8: 6e-7 by the normal distribution


@pytest.mark.parametrize(
    ("first", "stream", "same"), [(3, "test", True), (99, "test", False), (3, "other", False)],
    ids=["both alike", "seeds", "stream"],
)  # fmt: skip
def test_a_mask_depends_on_seeds_and_stream(first: int, stream: str, same: bool) -> None:
    features = torch.ones(50, 40, 3)

    assert torch.equal(Dropout(0.5)(features, at(first, stream)), Dropout(0.5)(features, at(3))) == same


def test_a_mask_depends_on_the_seed_of_a_row_and_not_on_its_place_or_neighbours() -> None:
    dropout, features, context = Dropout(0.5), torch.ones(50, 40, 3), at(3)
    assert context.noise is not None

    together = dropout(features, context)

    last = context._replace(noise=Noise(context.noise.seed[-7:].flip(0), "test"))
    assert torch.equal(dropout(features[:7], last), together[-7:].flip(0))
    assert torch.equal(dropout(features[:, :9], context), together[:, :9])
    assert not torch.equal(together[0], together[1])


def test_blocks_and_sub_layers_drop_independently() -> None:
    seen: list[str] = []

    class Recording(nn.Module):
        def forward(self, features: Tensor, context: AttentionContext) -> Tensor:
            assert context.noise is not None
            seen.append(context.noise.stream)
            return features

    Stack(3, 2, [lambda _: Recording(), lambda _: Recording()])(torch.ones(50, 40, 3), at(0))

    assert len(seen) == len(set(seen)) == 4


def test_torch_s_generator_is_not_advanced() -> None:
    dropout = Dropout(0.5)
    before = torch.get_rng_state()

    dropout(torch.ones(50, 40, 3), at(3))

    assert torch.equal(torch.get_rng_state(), before)


def test_it_has_no_state() -> None:
    assert not Dropout(0.5).state_dict()


def test_without_noise_a_sub_layer_is_unchanged() -> None:
    torch.manual_seed(0)
    inner: nn.Module = SwiGLU(4, hidden=8)
    features = torch.randn(50, 40, 4)

    assert torch.equal(WithDropout(inner, 0.5)(features, at(None)), inner(features, at(None)))
