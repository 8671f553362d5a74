import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_nn.slots import Slots, lineage


def ids(width: int) -> torch.Tensor:
    return torch.zeros(2, width, dtype=torch.int64)


def test_a_chain_continues_behind_the_last_column() -> None:
    slots = Slots(ids(0), 3, capacity=0, room=5)
    slots.extend(ids(2), None)

    assert slots.extend(ids(3), None).tolist() == [[1, 2, 3]] * 2


def test_more_tentative_ids_than_room_are_refused() -> None:
    slots = Slots(ids(0), 3, capacity=0, room=3)
    slots.extend(ids(2), None)

    with pytest.raises(ValueError, match=r"expected at most 3 tentative ids \(room\), got 4"):
        slots.extend(ids(2), None)


def test_a_commit_frees_the_room() -> None:
    slots = Slots(ids(0), 3, capacity=2, room=3)
    slots.extend(ids(3), None)
    slots.commit(ids(2) >= 0)

    assert slots.extend(ids(3), None).shape == (2, 3)


def test_only_rows_over_the_capacity_have_nan_logits() -> None:
    slots = Slots(ids(1), 3, capacity=2, room=2)
    slots.commit(torch.tensor([[True, True], [True, False]]))

    logits = slots.within_capacity(torch.zeros(2, 1, 3))

    assert logits[0].isnan().all()
    assert torch.equal(logits[1], torch.zeros(1, 3))


@settings(deadline=None)
@given(st.data())
def test_lineage_marks_the_present_ancestors_of_every_node_in_any_number_of_calls(data: st.DataObject) -> None:
    nodes = data.draw(st.integers(0, 9))
    parents = [data.draw(st.integers(-1, node - 1)) for node in range(nodes)]
    present = data.draw(st.lists(st.booleans(), min_size=nodes, max_size=nodes))

    ends = sorted({0, nodes, *data.draw(st.lists(st.integers(0, nodes)))})

    marks = torch.zeros(1, 0, 0, dtype=torch.bool)
    for first, end in itertools.pairwise(ends):
        part = torch.tensor([parents[first:end]]), torch.tensor([present[first:end]])
        rows = lineage(*part, marks)
        marks = torch.cat([torch.nn.functional.pad(marks, (0, end - first)), rows], 1)

    for node in range(nodes):
        line, walk = set[int](), node
        while walk >= 0:
            line, walk = line | {walk} if present[walk] else line, parents[walk]
        assert {column for column in range(nodes) if marks[0, node, column]} == line
