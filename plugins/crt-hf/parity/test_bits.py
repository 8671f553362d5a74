"""In bfloat16 too, ids are those of plain decoding, whatever the decoder, its draft and the batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_models import small

import crt_hf
from crt_nn.native import kernels
from crtcore.registry import discover

DECODERS = discover().names("decoder")
PROMPTS, NEW = 24, 16


def prompts() -> list[list[int]]:
    """Ragged prompts, half of which repeat themselves."""
    draw = torch.Generator().manual_seed(0)
    rows = [torch.randint(3, 61, (2 + place % 7,), generator=draw).tolist() for place in range(PROMPTS)]
    return [[*row, *row, *row[:2]] if place % 2 else row for place, row in enumerate(rows)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A target whose logits are often equal in bfloat16, and a draft that is often right."""
    root = tmp_path_factory.mktemp("models")
    model = small("llama")
    model.to(torch.bfloat16).save_pretrained(root / "target")
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    model.save_pretrained(root / "draft")
    return root / "target", root / "draft"


def written(folders: tuple[Path, Path], decoder: str, size: int, by: str = "own kernels") -> Iterator[list[int]]:
    """Ids after each prompt, `size` prompts at a time."""
    needed = discover().find("decoder", decoder).spec.drafts  # type: ignore[attr-defined]
    target = crt_hf.Model(folders[0])
    draft = crt_hf.Model(folders[1]) if needed else None
    for place in range(0, PROMPTS, size):
        rows = prompts()[place : place + size]
        for result in crt_hf.generate(target, rows, decoder=decoder, draft=draft, max_new_tokens=NEW):
            assert f"bfloat16; packed: 14 layers, by {by}" in result.ran
            yield result.ids


@pytest.mark.parametrize("decoder", DECODERS)
def test_greedy_ids_are_those_of_plain_decoding(folders: tuple[Path, Path], decoder: str) -> None:
    expected = list(written(folders, "ancestral", 1))

    assert list(written(folders, decoder, 8)) == expected
    assert list(written(folders, decoder, 1)) == expected


def test_by_torch_they_are_not(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, the test above could not fail."""
    expected = list(written(folders, "ancestral", 1))
    monkeypatch.setattr(kernels, "obstacle", lambda: "tried without")

    assert list(written(folders, "greedy-tree", 8, by="torch")) != expected
