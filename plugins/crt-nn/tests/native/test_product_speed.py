"""Products of many rows keep their sums in registers."""

import time
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from crt_nn.native import kernels


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_product_of_many_rows_takes_no_multiple_of_the_time_of_torch() -> None:
    """Where sums do not stay in registers it takes 30 times as long, and else 2 times: the middle is the limit."""
    generator = torch.Generator().manual_seed(0)
    matrix, features = torch.randn(192, 64, generator=generator), torch.randn(500, 64, generator=generator)
    panels = kernels.Panels(matrix)

    own = shortest(lambda: kernels.product(features, panels))
    peer = shortest(lambda: functional.linear(features, matrix))

    assert own < 8 * peer


def shortest(call: Callable[[], Tensor]) -> float:
    """Seconds of the fastest of some calls, of this process alone."""
    times = []
    for _ in range(20):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)
