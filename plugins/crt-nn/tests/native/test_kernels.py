"""Kernels against torch in float64, and each row's bits against those of the row alone."""

import platform
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from crt_nn.backends import sdpa
from crt_nn.native import kernels
from crt_nn.rotary import rotate

BOTH = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)], ids=["float32", "bfloat16"]
)
ROWS = (1, 2, 3, 4, 5, 8, 12, 13, 25, 96, 97, 130)
"""Both sides of each size at which a product goes another way."""


NARROWER = {"AVX2": ("-mno-avx512f",), "SSE": ("-mno-avx",)} if platform.machine() == "x86_64" else {}
WIDTHS = {"this processor": ()} | NARROWER
"""Flags of a build: the lanes of a vector, and how many rows go together, depend on the registers that there are."""


@pytest.fixture(autouse=True, scope="module", params=list(WIDTHS))
def build(request: pytest.FixtureRequest) -> Iterator[None]:
    cached = kernels.library, kernels.obstacle, kernels._name
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "FLAGS", (*kernels.FLAGS, *WIDTHS[request.param]))
        for each in cached:
            each.cache_clear()
        yield
    for each in cached:
        each.cache_clear()


def normal(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def close(result: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(result.double(), expected.double(), rtol=tolerance, atol=tolerance)


def test_this_machine_compiles_them() -> None:
    assert kernels.obstacle() is None


@BOTH
@pytest.mark.parametrize(("outward", "inward"), [(100, 72), (33, 130), (64, 64), (5, 8), (1, 1)])
def test_products_of_rows(dtype: torch.dtype, tolerance: float, outward: int, inward: int) -> None:
    matrix, bias = normal(outward, inward, dtype=dtype), normal(outward, dtype=dtype, seed=1)
    features, onto = normal(ROWS[-1], inward, dtype=dtype, seed=2), normal(ROWS[-1], outward, dtype=dtype, seed=3)

    panels, products = kernels.Panels(matrix), features.double() @ matrix.double().T
    for rows in (0, *ROWS):
        whole = kernels.product(features[:rows], panels, bias, onto[:rows])
        bare = kernels.product(features[:rows], panels)

        close(whole, products[:rows] + bias.double() + onto[:rows].double(), tolerance * inward**0.5)
        close(bare, products[:rows], tolerance * inward**0.5)


@BOTH
@pytest.mark.parametrize(("outward", "inward"), [(100, 72), (33, 130), (192, 200)])
def test_a_row_of_a_product_has_the_same_bits_beside_any_others(
    dtype: torch.dtype, tolerance: float, outward: int, inward: int
) -> None:
    panels, features = kernels.Panels(normal(outward, inward, dtype=dtype)), normal(ROWS[-1], inward, dtype=dtype)

    alone = torch.cat([kernels.product(row[None], panels) for row in features])

    for rows in ROWS:
        assert torch.equal(kernels.product(features[-rows:], panels), alone[-rows:])


def test_weights_that_are_bfloat16_numbers_take_half_the_bytes_and_give_the_same_bits() -> None:
    matrix, features = normal(40, 70, dtype=torch.bfloat16).float(), normal(30, 70, dtype=torch.float32)
    other = torch.cat((matrix, torch.full((1, 70), 1 + 2**-20)))  # no bfloat16 number: all stay as they are

    small, large = kernels.Panels(matrix), kernels.Panels(other)

    assert (small.values.dtype, large.values.dtype) == (torch.bfloat16, torch.float32)
    for rows in (1, 3, 12, 30):
        assert torch.equal(
            kernels.product(features[:rows], small), kernels.product(features[:rows], large)[:, :40].contiguous()
        )


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_no_bit(threads: int) -> None:
    panels, features = kernels.Panels(normal(300, 70, dtype=torch.float32)), normal(30, 70, dtype=torch.float32)
    expected = kernels.product(features, panels)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        result = kernels.product(features, panels)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(result, expected)


@BOTH
@pytest.mark.parametrize("width", [16, 100, 7])
def test_norms(dtype: torch.dtype, tolerance: float, width: int) -> None:
    features, gain = 5 * normal(4, 3, width, dtype=dtype), normal(width, dtype=dtype, seed=1)

    result = kernels.norm(features, gain, 1e-5)

    close(result, functional.rms_norm(features.double(), (width,), eps=1e-5) * gain.double(), tolerance)
    assert torch.equal(result[2, 1], kernels.norm(features[2, 1][None], gain, 1e-5)[0])


@BOTH
def test_gates(dtype: torch.dtype, tolerance: float) -> None:
    gate = torch.linspace(-120, 120, 37).to(dtype).expand(5, -1)
    up = normal(5, 37, dtype=dtype)

    result = kernels.gated(torch.cat((gate, up), -1))

    close(result, functional.silu(gate.double()) * up.double(), tolerance)


@BOTH
@pytest.mark.parametrize("channels", [2, 20, 64])
def test_rotations_of_the_first_heads(dtype: torch.dtype, tolerance: float, channels: int) -> None:
    joint = normal(2, 3, 5, channels, dtype=dtype)
    by = torch.polar(torch.ones(2, 3, 1, channels // 2), normal(2, 3, 1, channels // 2, dtype=torch.float32))
    before = joint.clone()

    kernels.rotate_(joint, by, 4)

    close(joint[:, :, :4], rotate(before[:, :, :4].double(), by), tolerance)
    assert torch.equal(joint[:, :, 4:], before[:, :, 4:])


@BOTH
@pytest.mark.parametrize("channels", [20, 64, 100])
@pytest.mark.parametrize(("queries", "slots"), [(1, 1), (5, 9), (9, 70)])
@pytest.mark.parametrize("marks", [True, False])
def test_attention(dtype: torch.dtype, tolerance: float, channels: int, queries: int, slots: int, marks: bool) -> None:
    slots = slots if marks else queries
    query, joint = normal(2, queries, 6, channels, dtype=dtype), normal(2, slots, 4, channels, dtype=dtype, seed=1)
    key, value = joint.chunk(2, 2)
    visible = None
    if marks:
        visible = torch.rand(2, queries, slots, generator=torch.Generator().manual_seed(2)) < 0.6
        visible[:, :, 0] = True

    result = kernels.attention(query, key, value, visible)

    close(result, sdpa(query.double(), key.double(), value.double(), visible), tolerance)


@BOTH
@pytest.mark.parametrize(("heads", "groups", "channels"), [(8, 8, 64), (9, 3, 20), (4, 1, 64)])
def test_attention_of_few_queries_has_the_bits_of_many(
    dtype: torch.dtype, tolerance: float, heads: int, groups: int, channels: int
) -> None:
    query, joint = (
        normal(3, 6, heads, channels, dtype=dtype), normal(3, 41, 2 * groups, channels, dtype=dtype, seed=1)
    )  # fmt: skip
    visible = torch.rand(3, 6, 41, generator=torch.Generator().manual_seed(2)) < 0.6
    visible[:, :, 0] = True
    many = kernels.attention(query, *joint.chunk(2, 2), visible)

    for count in (1, 2, 3):  # up to 4 rows of a head of keys take the other way
        few = [
            kernels.attention(query[:, at : at + count], *joint.chunk(2, 2), visible[:, at : at + count])
            for at in range(0, 6, count)
        ]
        assert torch.equal(torch.cat(few, 1), many)
    close(many, sdpa(query.double(), *joint.double().chunk(2, 2), visible), tolerance)


@BOTH
def test_attention_has_the_same_bits_wherever_keys_lie(dtype: torch.dtype, tolerance: float) -> None:
    slots, channels = 150, 40
    query, joint = normal(1, 1, 6, channels, dtype=dtype), normal(1, slots, 4, channels, dtype=dtype, seed=1)
    key, value = joint.chunk(2, 2)
    expected = kernels.attention(query, key, value, torch.ones(1, 1, slots, dtype=torch.bool))

    places = torch.randperm(400, generator=torch.Generator().manual_seed(2))[:slots].sort().values  # with gaps
    spread, visible = 7 * normal(1, 400, 4, channels, dtype=dtype, seed=3), torch.zeros(1, 1, 400, dtype=torch.bool)
    spread[:, places], visible[:, :, places] = joint, True
    others = normal(1, 20, 6, channels, dtype=dtype, seed=4)
    seen = torch.rand(1, 20, 400, generator=torch.Generator().manual_seed(5)) < 0.5
    seen[:, :, 0] = True
    query, visible = torch.cat((others, query), 1), torch.cat((seen, visible), 1)

    assert torch.equal(kernels.attention(query, *spread.chunk(2, 2), visible)[:, -1:], expected)
