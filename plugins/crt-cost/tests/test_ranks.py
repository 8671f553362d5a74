"""What a rank holds and sends, by hand; `tests/test_rank_memory.py` measures it on real ranks."""

from __future__ import annotations

import click
import pytest
from torch import nn

from crt_cost.devices import DEVICES, Devices, devices_named
from crt_cost.ranks import Layout, Memory, Weight, layout, share
from crt_nn.block import Block

MEMORY = Memory(weights=1000, gradients=800, optimizer=1600, activations=5000)


def test_ddp_holds_everything_whole_and_sends_a_ring_of_gradients() -> None:
    result = share(MEMORY, Layout((), (), 0), 4, "ddp")

    assert result[:5] == (1000, 800, 1600, 5000, 0)
    assert result.memory == 8400
    assert result.sent == 2 * 3 / 4 * 800


def test_fsdp2_holds_shards_and_gathers_blocks_twice() -> None:
    block, rest = (Weight(8, 100, True),), (Weight(4, 50, True), Weight(2, 20, False))

    result = share(MEMORY, Layout((block, block), rest, 12), 2, "fsdp2")

    shards = 400 + 400 + 100 + 20
    assert (result.weights, result.gradients, result.optimizer) == (shards + 12, shards - 20, 2 * (shards - 20))
    assert result.buffers == 240 + 3 * 800  # the rest, and three of a block, as a rank has more gradients than one
    assert result.sent == 2 * (400 + 400) + (100 + 20) + (400 + 400 + 100)


def test_rows_that_do_not_divide_are_padded() -> None:
    assert [Weight(5, 7, True).shard(ranks) for ranks in (1, 2, 4, 8)] == [35, 21, 14, 7]


def test_a_module_without_blocks_is_gathered_whole() -> None:
    result = share(MEMORY, layout([nn.Linear(6, 4, bias=False)]), 2, "fsdp2")

    assert (result.weights, result.sent) == (48, 48 + 48)
    assert result.buffers == 2 * 96


def test_where_activations_are_few_the_gradient_of_the_rest_is_the_peak() -> None:
    result = share(MEMORY._replace(activations=10), Layout((), (Weight(4, 100, True),), 0), 2, "fsdp2")

    assert result.buffers == 3 * 400 - 10


def test_without_activations_the_memory_is_not_known() -> None:
    assert share(MEMORY._replace(activations=None), Layout((), (), 0), 2, "ddp").memory is None


def test_blocks_are_groups_and_a_shared_weight_belongs_to_the_first() -> None:
    shared = nn.Linear(2, 2, bias=False)
    parts = nn.ModuleList([Block(2, [lambda width: shared]), Block(2, [lambda width: shared]), nn.BatchNorm1d(3)])

    result = layout([parts])

    assert [[weight.rows for weight in block] for block in result.blocks] == [[2, 2], [2]]
    assert [weight.rows for weight in result.rest] == [3, 3]
    assert result.buffers == 4 * 3 + 4 * 3 + 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [("h100", (1, "h100")), ("8xH100", (8, "h100")), (" 16 x RTX-4090 ", (16, "rtx-4090")), ("1xcpu", (1, "cpu"))],
)
def test_devices_are_named_by_number_and_kind(text: str, expected: tuple[int, str]) -> None:
    assert devices_named(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8xtpu", "got '8xtpu'; known: cpu, rtx-4090, a100, h100, h200"),
        ("8", "got '8'; known: "),
        ("xh100", "got 'xh100'; known: "),
        ("", "got ''; known: "),
        ("8x\n", r"got '8x\\n'; known: "),
        ("0xh100", "expected 1 to 100,000 devices, got '0xh100'"),
        ("100001xh100", "expected 1 to 100,000 devices"),
    ],
)
def test_unknown_devices_are_refused_with_those_that_are_known(text: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message):
        devices_named(text)


def test_more_than_a_node_share_its_network() -> None:
    h100 = DEVICES["h100"]

    assert (h100.rate(8), h100.rate(9)) == (450e9, 400e9)
    assert DEVICES["rtx-4090"].rate(9) is None
    assert str(Devices(8, "h100")) == "8xh100"
