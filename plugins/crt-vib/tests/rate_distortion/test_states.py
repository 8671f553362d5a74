"""Where states are read, and the answers, against rows worked out by hand."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_vib.rate_distortion.states import prompts
from crtcore.kinds import Batch

settings.register_profile("states", deadline=None)
settings.load_profile("states")

META = 5
WIDTH = 7


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Rows of up to seven ids, METAs among them, and a class for each."""
    rows = draw(st.lists(st.lists(st.integers(0, META), max_size=WIDTH), min_size=1, max_size=5))
    ids = torch.tensor([row + [-1] * (WIDTH - len(row)) for row in rows])
    return Batch(ids, torch.arange(len(rows)), None)


def by_hand(batch: Batch, distance: int, at_meta: bool) -> list[tuple[list[int], int, int]]:
    """The prompt of each row that is long enough, its answer, and its class."""
    kept = []
    assert batch.class_ids is not None
    for row, label in zip(batch.data.tolist(), batch.class_ids.tolist(), strict=True):
        ordinary = [place for place, each in enumerate(row) if 0 <= each < META]
        if len(ordinary) > distance:
            prompt = row[: ordinary[-1 - distance] + 1] + [META] * at_meta
            kept.append((prompt, row[ordinary[-1]], label))
    return kept


@given(batches(), st.integers(1, 4), st.booleans())
def test_prompts_end_at_the_id_whose_state_is_read(batch: Batch, distance: int, at_meta: bool) -> None:
    kept = prompts(batch, meta=META, distance=distance, at_meta=at_meta)

    assert kept.class_ids is not None
    rows = [[each for each in row if each >= 0] for row in kept.ids.tolist()]
    assert list(zip(rows, kept.answers.tolist(), kept.class_ids.tolist(), strict=True)) == by_hand(
        batch, distance, at_meta
    )
    assert kept.place.tolist() == [len(row) - 1 for row in rows]


@given(batches())
def test_no_later_id_is_in_a_prompt(batch: Batch) -> None:
    kept = prompts(batch, meta=META, distance=1, at_meta=False)

    behind = torch.arange(kept.ids.shape[1]) > kept.place[:, None]
    assert (kept.ids[behind] == -1).all()
    assert (kept.ids.gather(1, kept.place[:, None]) < META).all()


def test_without_meta_every_id_counts() -> None:
    batch = Batch(torch.tensor([[0, 1, META, 2]]), None, None)

    kept = prompts(batch, meta=None, distance=1, at_meta=False)

    assert kept.ids.tolist() == [[0, 1, META]]
    assert kept.answers.tolist() == [2]
