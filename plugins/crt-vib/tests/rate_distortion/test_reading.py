"""Where states are read, and what the answer is: against rows taken apart by hand."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_vib.rate_distortion.reading import prompts
from crtcore.kinds import Batch

settings.register_profile("reading", deadline=None)
settings.load_profile("reading")

META = 5
WIDTH = 7


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Rows of up to seven ids, METAs among them, and a class for each."""
    rows = draw(st.lists(st.lists(st.integers(0, META), max_size=WIDTH), min_size=1, max_size=5))
    ids = torch.tensor([row + [-1] * (WIDTH - len(row)) for row in rows])
    return Batch(ids, torch.arange(len(rows)), None)


def by_hand(batch: Batch, distance: int, at_meta: bool) -> list[tuple[list[int], int, int]]:
    """What is given of each row that is long enough, its answer, and its class."""
    found = []
    assert batch.condition is not None
    for row, label in zip(batch.data.tolist(), batch.condition.tolist(), strict=True):
        ordinary = [place for place, each in enumerate(row) if 0 <= each < META]
        if len(ordinary) > distance:
            given = row[: ordinary[-1 - distance] + 1] + [META] * at_meta
            found.append((given, row[ordinary[-1]], label))
    return found


@given(batches(), st.integers(1, 4), st.booleans())
def test_rows_are_given_up_to_the_id_that_is_read(batch: Batch, distance: int, at_meta: bool) -> None:
    found = prompts(batch, meta=META, distance=distance, at_meta=at_meta)

    assert found.condition is not None
    given = [[each for each in row if each >= 0] for row in found.ids.tolist()]
    assert list(zip(given, found.answers.tolist(), found.condition.tolist(), strict=True)) == by_hand(
        batch, distance, at_meta
    )
    assert found.place.tolist() == [len(row) - 1 for row in given]


@given(batches())
def test_no_id_behind_the_read_one_is_seen(batch: Batch) -> None:
    found = prompts(batch, meta=META, distance=1, at_meta=False)

    behind = torch.arange(found.ids.shape[1]) > found.place[:, None]
    assert (found.ids[behind] == -1).all()
    assert (found.ids.gather(1, found.place[:, None]) < META).all()


def test_without_meta_every_id_counts() -> None:
    batch = Batch(torch.tensor([[0, 1, META, 2]]), None, None)

    found = prompts(batch, meta=None, distance=1, at_meta=False)

    assert found.ids.tolist() == [[0, 1, META]]
    assert found.answers.tolist() == [2]
