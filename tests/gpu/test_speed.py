"""The bench of speed: every arm that needs no other package judges, and the floor counts the rows that walks read."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import speed
import torch

from crt_verify.kernels import host
from crt_verify.tree import Tree, batch


@attrs.frozen
class Here:
    """A rule by its host build, in place of its kernels."""

    rule: host.HostRule
    layout: str | None = None
    blocks: int | None = None

    def verify(self, *given: Any) -> Any:
        return self.rule.verify(*given)

    def from_logits(self, *given: Any, **words: Any) -> Any:
        return self.rule.from_logits(*given, **words)


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bench with a CPU for a GPU, where each arm is called once."""

    def once(call: Any, _: int) -> float:
        assert (getattr(call(0), "fault", torch.zeros(1)) == 0).all()
        return 1.0

    monkeypatch.setattr("crt_verify.kernels.device.rule", lambda name: Here(host.rule(name)))
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (9, 0))
    monkeypatch.setattr(speed, "DEVICE", "cpu")
    monkeypatch.setattr(speed, "microseconds", once)


@pytest.mark.parametrize("tree", speed.SHAPES)
def test_every_arm_judges_what_is_drawn(tree: str) -> None:
    found = speed.measured(speed.SHAPES[tree], 2, 50, rounds=1, rate=1.0)

    name = "single" if tree == "chain 5" else "recursive"
    assert {name, f"{name}, torch", f"{name}, logits", f"{name}, logits, top-p", f"{name}, softmax first"} <= set(found)
    assert min(found.values()) > 0


def test_every_choice_of_layout_and_blocks_is_timed() -> None:
    found = speed.chosen(2, 50, rounds=1)

    assert len(found) == 3 * 5 * 2


@pytest.mark.parametrize(
    ("name", "likely", "rows"),
    [
        ("single", 1.0, 1),  # all are accepted at a glimpse: the leaf's row
        ("single", 0.0, 2),  # the first is rejected: both rows of the root
        ("kseq", 1.0, 2 * 3 + 1),  # it looks at every row it comes to
        ("target-only", 0.0, 1),
    ],
)
def test_the_floor_counts_rows_that_are_read(name: str, likely: float, rows: int) -> None:
    q = torch.zeros(1, 4, 5).index_fill(2, torch.tensor(2), 1.0)
    p = likely * q + (1 - likely) * torch.zeros(1, 4, 5).index_fill(2, torch.tensor(3), 1.0)
    trees, coins = batch([Tree([-1, 0, 1, 2], [-1, 2, 2, 2])]), torch.zeros(1, 4, dtype=torch.int64)

    found = speed.read_rows(name, (trees, None, None, coins, coins), (p, q), laws=True)

    assert found == rows
