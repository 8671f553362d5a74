import pytest
import torch
from torch import Tensor, nn

from crt_nn.attention import Attention
from crt_nn.block import Stack
from crt_nn.context import AttentionContext
from crt_nn.session import CachedSession
from crt_nn.slots import Slots

PROMPT = torch.tensor([[1, 2], [3, -1]])


class Network(nn.Module):
    """A minimal network: two prefix positions, attention alone, one table for input and output."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.vocabulary = 4
        self.prefix = nn.Parameter(torch.randn(1, 2, 8))
        self.table = nn.Parameter(torch.randn(4, 8))
        self.stack = Stack(8, 2, [lambda width: Attention(width, heads=2)])

    def begin(self, ids: Tensor, class_ids: Tensor | None) -> Tensor:
        return torch.cat((self.prefix.expand(len(ids), -1, -1), self.embed(ids)), 1)

    def embed(self, ids: Tensor) -> Tensor:
        return self.table[ids.clamp(min=0)]

    def states(self, features: Tensor, context: AttentionContext) -> Tensor:
        states: Tensor = self.stack(features, context)
        return states

    def logits(self, states: Tensor) -> Tensor:
        return states @ self.table.T

    def last(self, row: list[int]) -> Tensor:
        features = self.begin(torch.tensor([row]), None)
        return self.logits(self.states(features, AttentionContext(torch.arange(features.shape[1])[None])))[0, -1]


def test_a_prefix_of_several_positions_is_kept() -> None:
    network = Network().double()
    session = CachedSession(network, PROMPT, None, capacity=4, room=2)

    logits = session.extend(torch.tensor([[0], [1]]))

    torch.testing.assert_close(logits[0, 0], network.last([1, 2, 0]), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(logits[1, 0], network.last([3, 1]), rtol=1e-9, atol=1e-9)


def test_an_absent_column_in_a_path_commits_nothing() -> None:
    network = Network().double()
    session = CachedSession(network, PROMPT, None, capacity=5, room=3)
    session.extend(torch.tensor([[0, -1], [-1, -1]]))
    session.extend(torch.tensor([[3], [1]]))

    session.commit(torch.tensor([[0, 1, 2], [0, 1, 2]]))

    torch.testing.assert_close(session.next_logits[0], network.last([1, 2, 0, 3]), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(session.next_logits[1], network.last([3, 1]), rtol=1e-9, atol=1e-9)


def test_a_path_may_end_in_any_of_several_extensions() -> None:
    network = Network().double()
    prompt = torch.tensor([[1], [2], [3]])
    session = CachedSession(network, prompt, None, capacity=4, room=3)
    session.extend(torch.tensor([[0, 1]] * 3))
    session.extend(torch.tensor([[2]] * 3))

    session.commit(torch.tensor([[0, 1, 2], [0, 1, -1], [-1, -1, -1]]))

    for row, ids in enumerate([[1, 0, 1, 2], [2, 0, 1], [3]]):
        torch.testing.assert_close(session.next_logits[row], network.last(ids), rtol=1e-9, atol=1e-9)


def test_an_empty_commit_drops_all_tentative_nodes() -> None:
    network = Network().double()
    session = CachedSession(network, PROMPT, None, capacity=2, room=2)
    before = session.extend(torch.tensor([[0, 1], [1, 0]]))

    session.commit(torch.empty(2, 0, dtype=torch.int64))

    torch.testing.assert_close(session.extend(torch.tensor([[0, 1], [1, 0]])), before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_sessions_run_in_every_type_and_mode(dtype: torch.dtype, mode: type[torch.no_grad]) -> None:
    network = Network().to(dtype)

    with mode():
        session = CachedSession(network, PROMPT, None, capacity=4, room=2)
        logits = session.extend(torch.tensor([[0], [1]]))
        session.commit(torch.tensor([[0], [-1]]))

    tolerance = torch.finfo(dtype).eps ** 0.575
    torch.testing.assert_close(logits[1, 0], network.last([3, 1]).detach(), rtol=tolerance, atol=tolerance)
    assert torch.equal(session.next_logits[0], logits[0, 0])
    assert not session.next_logits.requires_grad


def test_the_prompt_must_fit_into_capacity() -> None:
    with pytest.raises(ValueError, match=r"expected a prompt of at most 1 ids \(capacity\), got 2"):
        CachedSession(Network(), PROMPT, None, capacity=1, room=0)


def test_an_extension_must_fit_into_room() -> None:
    session = CachedSession(Network(), PROMPT, None, capacity=2, room=1)

    with pytest.raises(ValueError, match=r"expected at most 1 tentative ids \(room\), got 2"):
        session.extend(PROMPT)


def test_absent_entries_of_a_path_take_no_capacity() -> None:
    session = CachedSession(Network(), PROMPT, None, capacity=3, room=3)
    session.extend(PROMPT)
    session.commit(torch.tensor([[0, -1], [-1, -1]]))
    session.extend(PROMPT)
    session.commit(torch.tensor([[-1, -1], [0, -1]]))

    logits = session.extend(PROMPT)

    assert logits.isfinite().all()


def test_a_row_beyond_its_capacity_has_nan_logits() -> None:
    session = CachedSession(Network(), PROMPT, None, capacity=2, room=1)
    session.extend(PROMPT[:, :1])
    session.commit(torch.tensor([[0], [-1]]))

    logits = session.extend(PROMPT[:, :1])

    assert session.next_logits[0].isnan().all()
    assert logits[0].isnan().all()
    assert logits[1].isfinite().all()


def test_logits_within_capacity_are_those_of_the_network_itself() -> None:
    """The sum that marks rows beyond it is left out as long as the columns fit."""
    slots = Slots(torch.tensor([[1, 2]]), 5, capacity=3, room=2)
    logits = torch.randn(1, 1, 5)

    assert slots.within_capacity(logits) is logits
    slots.commit(torch.tensor([[True]]))
    assert slots.within_capacity(logits) is logits
    slots.commit(torch.tensor([[False]]))  # four columns, three ids
    assert torch.equal(slots.within_capacity(logits), logits)
    slots.commit(torch.tensor([[True]]))
    assert slots.within_capacity(logits).isnan().all()


def test_rows_that_are_kept_go_on_as_they_would_have() -> None:
    network = Network().double()
    prompt = torch.tensor([[1, 2, 0], [3, -1, -1], [2, 2, -1]])
    whole = CachedSession(network, prompt, None, capacity=6, room=2)
    kept = CachedSession(network, prompt, None, capacity=6, room=2)
    for session in (whole, kept):
        session.extend(torch.tensor([[0, 1], [1, -1], [3, 2]]))
        session.commit(torch.tensor([[0, 1], [0, -1], [0, -1]]))

    kept.narrow(torch.tensor([2, 1]))

    torch.testing.assert_close(kept.next_logits, whole.next_logits[[2, 1]], rtol=0, atol=0)
    expected, new = whole.extend(torch.tensor([[0], [1], [3]])), kept.extend(torch.tensor([[3], [1]]))
    torch.testing.assert_close(new, expected[[2, 1]], rtol=1e-9, atol=1e-9)
    kept.commit(torch.tensor([[0], [0]]))
    torch.testing.assert_close(kept.next_logits[1], network.last([3, 1, 1]), rtol=1e-9, atol=1e-9)


def test_rows_are_not_left_out_beside_tentative_ids() -> None:
    session = CachedSession(Network(), PROMPT, None, capacity=4, room=2)
    session.extend(torch.tensor([[0], [1]]))

    with pytest.raises(ValueError, match="expected no tentative ids, got 1; commit first"):
        session.narrow(torch.tensor([0]))
