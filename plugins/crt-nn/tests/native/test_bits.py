"""Logits of packed networks have the same bits however a session comes to them."""

import copy
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from crt_nn.attention import Attention, AttentionForm
from crt_nn.block import Builder, Stack
from crt_nn.context import AttentionContext
from crt_nn.fused import Fused
from crt_nn.native import blocks, kernels
from crt_nn.packed import Packed, Place, pack
from crt_nn.session import CachedSession
from crt_nn.swiglu import SwiGLU

VOCABULARY, LENGTH = 50, 40
LIBRARY = kernels.library


class Network(nn.Module):
    """A small Llama: one prefix position, and one matrix for input and output."""

    def __init__(self, form: AttentionForm) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.vocabulary = VOCABULARY
        self.table = nn.Parameter(torch.randn(VOCABULARY, 48))
        builders: list[Builder] = [
            partial(Attention, heads=4, key_heads=2, form=form),
            partial(SwiGLU, hidden=70),
        ]
        self.stack = Stack(48, 2, builders)
        self._packed: Packed | None = None

    def begin(self, ids: Tensor, class_ids: Tensor | None) -> Tensor:
        return torch.cat((self.table[:1].expand(len(ids), 1, -1), self.embed(ids)), 1)

    def embed(self, ids: Tensor) -> Tensor:
        return self.table[ids.clamp(min=0)]

    def states(self, features: Tensor, context: AttentionContext) -> Tensor:
        states: Tensor = self.stack(features, context)
        return states

    def logits(self, states: Tensor) -> Tensor:
        assert self._packed is not None
        return self._packed(states)

    def pack(self) -> int:
        self._packed = Packed([Place(self, "table")])
        return self._packed.size


FORMS = {"plain": AttentionForm(), "odd": AttentionForm(channels=18, inward_bias=True, norm_epsilon=1e-5)}


@pytest.fixture(params=[(form, dtype) for form in FORMS for dtype in (torch.float32, torch.bfloat16)], ids=str)
def network(request: pytest.FixtureRequest) -> Network:
    form, dtype = request.param
    network = Network(FORMS[form]).requires_grad_(False).to(dtype)
    assert "own kernels" in pack(network)
    return network


@pytest.fixture
def row() -> Tensor:
    return torch.randint(VOCABULARY, (1, LENGTH), generator=torch.Generator().manual_seed(1))


def one_by_one(network: Network, row: Tensor, start: int) -> list[Tensor]:
    """The logits after each id from `start` on, each id in a step of its own."""
    session = CachedSession(network, row[:, :start], None, capacity=LENGTH + 1, room=1)
    result = []
    for at in range(start, LENGTH):
        session.extend(row[:, at : at + 1])
        session.commit(torch.zeros(1, 1, dtype=torch.int64))
        result.append(session.next_logits[0])
    return result


def test_a_chain_has_the_bits_of_single_steps(network: Network, row: Tensor) -> None:
    session = CachedSession(network, row[:, :7], None, capacity=LENGTH, room=LENGTH)

    chain = session.extend(row[:, 7:])[0]

    assert torch.equal(chain, torch.stack(one_by_one(network, row, 7)))


def test_a_prompt_has_the_bits_of_single_steps(network: Network, row: Tensor) -> None:
    expected = one_by_one(network, row, 1)

    for length in (2, 13, LENGTH):
        session = CachedSession(network, row[:, :length], None, capacity=LENGTH, room=1)
        assert torch.equal(session.next_logits[0], expected[length - 2])


def test_a_path_of_a_tree_has_the_bits_of_single_steps(network: Network, row: Tensor) -> None:
    """Three drafted ids at each node of the path, of which another one is right each time."""
    expected, session = one_by_one(network, row, 5), None
    session = CachedSession(network, row[:, :5], None, capacity=LENGTH, room=18)
    at = 5
    while at + 6 <= LENGTH:
        ids, parents, path = [], [], []
        above = -1
        for depth in range(6):
            true, right = int(row[0, at + depth]), (at + depth) % 3
            for child in range(3):
                ids.append(true if child == right else (true + 1 + child) % VOCABULARY)
                parents.append(above)
            above = 3 * depth + right
            path.append(above)
        logits = session.extend(torch.tensor([ids]), torch.tensor([parents]))[0]
        assert torch.equal(logits[path], torch.stack(expected[at - 5 : at + 1]))
        session.commit(torch.tensor([path]))
        assert torch.equal(session.next_logits[0], expected[at])
        at += 6


def test_a_row_of_a_ragged_batch_has_the_bits_of_the_row_alone(network: Network, row: Tensor) -> None:
    expected = one_by_one(network, row, 3)
    others = torch.randint(VOCABULARY, (3, 9), generator=torch.Generator().manual_seed(2))
    others[1, 4:], mine = -1, torch.nn.functional.pad(row[:, :3], (0, 6), value=-1)
    session = CachedSession(network, torch.cat((others, mine)), None, capacity=LENGTH + 9, room=4)

    for at in range(3, LENGTH - 4, 4):
        new = torch.cat((others[:, :4].where(others[:, :4] >= 0, 0), row[:, at : at + 4]))
        logits = session.extend(new)
        assert torch.equal(logits[3], torch.stack(expected[at - 3 : at + 1]))
        session.commit(torch.arange(4).expand(4, -1))


def test_a_block_in_one_call_has_the_bits_of_its_parts(
    network: Network, row: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, called = one_by_one(network, row, 7), list[bool]()

    def parts(*_: object) -> None:
        called.append(True)

    monkeypatch.setattr(Fused, "whole", parts)

    assert torch.equal(torch.stack(one_by_one(network, row, 7)), torch.stack(whole))
    assert called


def test_a_weight_that_changes_is_not_used_as_it_was(network: Network, row: Tensor) -> None:
    session = CachedSession(network, row[:, :7], None, capacity=LENGTH, room=LENGTH)
    network.stack.blocks[1].sublayers[1].down.weight.mul_(2)

    with pytest.raises(ValueError, match="pack them again"):
        session.extend(row[:, 7:])


@pytest.mark.parametrize("assign", [True, False], ids=["other parameters", "other data"])
def test_a_block_whose_weights_are_replaced_is_refused(network: Network, row: Tensor, assign: bool) -> None:
    session = CachedSession(network, row[:, :7], None, capacity=LENGTH, room=LENGTH)
    block = network.stack.blocks[1]
    others = {name: 2 * weight for name, weight in block.state_dict().items()}
    if assign:
        block.load_state_dict(others, assign=True)
    else:
        for name, weight in block.named_parameters():
            weight.data = others[name]

    with pytest.raises(ValueError, match="pack them again"):
        session.extend(row[:, 7:])


class WithoutAttention:
    """The kernels but for those that read what is cached."""

    def __getattr__(self, name: str) -> object:
        assert name not in ("crt_block", "crt_attention")
        return getattr(LIBRARY(), name)


@pytest.mark.parametrize("fused", [True, False], ids=["in one call", "by its parts"])
def test_a_session_from_before_a_change_of_dtype_is_refused(
    network: Network, row: Tensor, monkeypatch: pytest.MonkeyPatch, fused: bool
) -> None:
    """Keys and values of the first ids are cached in the dtype that the weights had."""
    before = network.table.dtype
    after = torch.float32 if before == torch.bfloat16 else torch.bfloat16
    session = CachedSession(network, row[:, :7], None, capacity=LENGTH, room=LENGTH)
    pack(network.to(after))
    for module in (kernels, blocks):
        monkeypatch.setattr(module, "library", WithoutAttention)
    if not fused:
        monkeypatch.setattr(Fused, "whole", lambda *_: None)

    with pytest.raises(ValueError, match=f"expected {after} on cpu, .*, got {before} on cpu"):
        session.extend(row[:, 7:])


def test_a_network_that_has_decoded_can_be_copied(network: Network, row: Tensor) -> None:
    expected = one_by_one(network, row, 7)

    other = copy.deepcopy(network)
    with pytest.raises(ValueError, match="pack them again"):
        one_by_one(other, row, 7)
    pack(other)

    assert torch.equal(torch.stack(one_by_one(other, row, 7)), torch.stack(expected))


def test_torch_alone_has_other_bits(network: Network, row: Tensor) -> None:
    """Without this, the tests above could not fail."""
    for layer in network.stack.modules():
        if isinstance(layer, Attention):
            layer.wanted = "sdpa"
    expected = one_by_one(network, row, 7)
    session = CachedSession(network, row[:, :7], None, capacity=LENGTH, room=LENGTH)

    chain = session.extend(row[:, 7:])[0]

    torch.testing.assert_close(chain, torch.stack(expected), rtol=0.1, atol=0.1)
    assert not torch.equal(chain, torch.stack(expected))
