import torch

from crt_nn.block import Stack
from crt_nn.norm import RMSNorm


def test_epsilon_is_added_to_the_mean_square() -> None:
    features = torch.tensor([[3.0, 4.0]], dtype=torch.float64)

    scaled = RMSNorm(2, epsilon=2.0).double()(features)

    torch.testing.assert_close(scaled, features / 14.5**0.5)  # (9 + 16) / 2 + 2


def test_a_stack_passes_epsilon_to_every_norm() -> None:
    stack = Stack(2, 3, [torch.nn.Identity], epsilon=2.0)

    assert [norm.epsilon for norm in stack.modules() if isinstance(norm, RMSNorm)] == [2.0] * 4
