"""Noise is passed, never kept: no module registers an autograd hook or keeps a seed of its own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
from imports import modules

KEPT = re.compile(
    r"\.register_(full_|multi_grad_|post_accumulate_grad_)?(backward_|forward_)?(pre_)?hook\("
    r"|register_buffer\(\s*\"(\w*_)?seeds?\""
    r"|functional\.dropout|nn\.Dropout"
)
"""Autograd hooks, buffers of seeds, and dropout that draws from torch's own generator."""


def kept(text: str) -> list[str]:
    return [match.group() for match in KEPT.finditer(text)]


def test_no_module_registers_a_hook_or_keeps_a_seed() -> None:
    by_module = {module: lines for module, path in modules().items() if (lines := kept(path.read_text()))}

    assert by_module == {}


@pytest.mark.parametrize(
    "line",
    [
        "codes.register_hook(self._step)",
        "loss.register_hook(lambda _: self._update(rows))",
        "module.register_full_backward_hook(count)",
        'self.register_buffer("seed", torch.randint(2**62, ()))',
        'self.register_buffer("seed", torch.randint(2**62, ()), persistent=False)',
        "features = functional.dropout(features)",
    ],
)
def test_a_kept_seed_or_a_hook_is_found(line: str) -> None:
    assert kept(line)
