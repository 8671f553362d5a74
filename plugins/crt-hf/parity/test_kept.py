"""A turn that goes on from the last one reads what is new alone, and has the ids of a fresh session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import small

import crt_hf
from crt_nn.session import CachedSession

NEW = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "llama"
    small("llama").to(torch.bfloat16).save_pretrained(path)
    return path


def turns(count: int) -> list[list[int]]:
    return torch.randint(3, 61, (count, 7), generator=torch.Generator().manual_seed(0)).tolist()


@pytest.mark.parametrize("decoder", ["ancestral", "lookup", "suffix"])
@pytest.mark.parametrize(
    "keywords", [{}, {"repetition_penalty": 1.3}, {"do_sample": True, "temperature": 0.9}], ids=str
)
def test_turns_have_the_ids_of_fresh_sessions(folder: Path, decoder: str, keywords: dict[str, Any]) -> None:
    kept, fresh, row = crt_hf.Model(folder, keep=True), crt_hf.Model(folder), list[int]()
    times = 0
    for turn in turns(8):
        row += turn
        (result,) = crt_hf.generate(kept, [row], decoder=decoder, max_new_tokens=NEW, **keywords)
        (expected,) = crt_hf.generate(fresh, [row], decoder=decoder, max_new_tokens=NEW, **keywords)
        assert result.ids == expected.ids
        read = int(result.notes[-1].split()[0])
        assert result.notes[-1] == f"{read} of the prompt's {len(row)} ids were kept from the last one"
        assert read in (0, len(row) - len(turn) - 1, len(row) - len(turn))  # the last id may not have been read
        times += read > 0
        row += result.ids
    assert times >= 4  # a session is opened anew where it is full, each time twice as large


def test_another_prompt_starts_anew(folder: Path) -> None:
    model, (first, second) = crt_hf.Model(folder, keep=True), turns(2)
    crt_hf.generate(model, [first], max_new_tokens=NEW)

    (result,) = crt_hf.generate(model, [second], max_new_tokens=NEW)
    together = crt_hf.generate(model, [first, second], max_new_tokens=NEW)

    assert result.notes[-1] == "0 of the prompt's 7 ids were kept from the last one"
    assert together[1].ids == result.ids


def test_kept_ids_are_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, (first, second) = crt_hf.Model(folder, keep=True), turns(2)
    (result,) = crt_hf.generate(model, [first * 3], max_new_tokens=4)
    opened, opening = list[int](), CachedSession.__init__

    def counted(session: CachedSession, network: Any, ids: Any, *rest: Any, **keywords: Any) -> None:
        opened.append(ids.shape[1])
        opening(session, network, ids, *rest, **keywords)

    monkeypatch.setattr(CachedSession, "__init__", counted)
    crt_hf.generate(model, [[*first * 3, *result.ids, *second]], max_new_tokens=4)

    assert opened == []
