"""FSQ at its ends: every level of a channel, and the most codes."""

import pytest
import torch

from crt_basics.bottlenecks.specs import FSQ
from crtcore.spec import FieldError


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("levels", [2, 3, 8, 1000, 1003, 4096, 65_535])
def test_every_level_is_reached_and_none_beyond(levels: int, dtype: torch.dtype) -> None:
    grid = FSQ(levels=(levels,)).build().to(dtype)
    features = torch.linspace(-1, 1, 400_002, dtype=torch.float64)[1:-1].atanh().float()[None, :, None]

    ids = grid(features).ids

    assert ids is not None
    assert torch.equal(ids.unique(), torch.arange(levels))


def test_the_published_bound_holds_up_to_a_thousand_levels() -> None:
    """Mentzer et al. (2023), appendix A.1: half the span is (levels - 1) (1 - eps) / 2 with eps = 1e-3."""
    grid = FSQ(levels=(5, 501)).build()

    bounded = grid.bound(torch.full((1, 1, 2), 50.0))[0, 0]

    torch.testing.assert_close(bounded, torch.tensor([2 * 0.999, 250 * 0.999]))


def test_more_codes_than_an_int64_counts_are_refused() -> None:
    FSQ(levels=(2,) * 62).build()(torch.zeros(1, 1, 62))
    with pytest.raises(FieldError, match=r"levels: expected fewer than 2\*\*63 codes, as ids are int64, got 18446744"):
        FSQ(levels=(2**16,) * 4)
    with pytest.raises(FieldError, match="levels: expected 2 to 1048576, got 2097152"):
        FSQ(levels=(2**21,))
