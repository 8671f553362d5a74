"""A model that keeps its last session, and drafts for itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crt_hf.generation import generate
from crt_hf.model import Model

NEW = 6


@pytest.mark.parametrize("decoder", ["sd", "likeliest-tree"])
def test_turns_of_a_model_that_drafts_for_itself_are_those_of_fresh_models(folder: Path, decoder: str) -> None:
    kept, fresh, row = Model(folder, keep=True), Model(folder), list[int]()
    turns = torch.randint(9, (3, 4), generator=torch.Generator().manual_seed(0)).tolist()
    reused = []
    for turn in turns:
        row += turn
        (expected,) = generate(fresh, [row], decoder=decoder, draft=fresh, max_new_tokens=NEW)

        (result,) = generate(kept, [row], decoder=decoder, draft=kept, max_new_tokens=NEW)

        assert (result.ids, result.accepted) == (expected.ids, expected.accepted)
        reused.append(int(result.notes[-1].split()[0]))
        row += result.ids
    assert reused[0] == 0
    assert max(reused) > 0
    assert len(row) == 3 * (4 + NEW)


def test_target_and_draft_keep_their_own_sessions(folder: Path) -> None:
    both = Model(folder, keep=True)
    target, draft, again = both.reader("target").prior, both.reader("draft").prior, both.reader("target").prior

    sessions = [each.open(torch.tensor([[2, 3]]), capacity=8, room=4) for each in (target, draft)]

    assert sessions[0] is not sessions[1]
    assert (again, target.prior) == (target, draft.prior)  # the weights are shared
