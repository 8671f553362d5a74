"""Drafts by suffixes: what the automaton counts, what is guessed, and earlier outputs in a file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_verify.lookup.automaton import DEPTH, END, Automaton
from crt_verify.lookup.corpus import read_corpus
from crt_verify.lookup.suffixes import SuffixDrafting
from crtcore.errors import RunError

texts = st.integers(1, 4).flatmap(lambda ids: st.lists(st.integers(0, ids - 1), max_size=70))


def occurrences(text: Sequence[int], part: Sequence[int]) -> int:
    return sum(list(text[at : at + len(part)]) == list(part) for at in range(len(text) - len(part) + 1))


@settings(deadline=None)
@given(text=texts)
def test_the_automaton_counts_what_followed_each_suffix(text: list[int]) -> None:
    automaton = Automaton()
    for at, x in enumerate(text, start=1):
        automaton.append(x)
        before = text[:at]
        contexts = list(automaton.contexts(automaton.end))
        followed = [n for n in range(1, min(at, DEPTH - 1) + 1) if occurrences(before[:-1], before[-n:])]
        assert max((context.length for context in contexts), default=0) >= max(followed, default=0)
        for state, length in contexts:
            counts = {y: automaton.counts[there] for y, there in automaton.following[state].items()}
            expected = {y: occurrences(before, [*before[-length:], y]) for y in set(text)}
            assert counts == {y: count for y, count in expected.items() if count}


@settings(deadline=None)
@given(text=texts, other=texts)
def test_another_text_is_followed_by_its_longest_known_suffix(text: list[int], other: list[int]) -> None:
    automaton = Automaton(text)
    place = automaton.end._replace(state=0, length=0)
    for at, x in enumerate(other, start=1):
        place = automaton.after(place, x)
        known = [n for n in range(min(at, DEPTH) + 1) if occurrences(text, other[at - n : at])]
        assert place.length == max(known)


def test_ids_are_expected_by_how_often_they_followed() -> None:
    tree = SuffixDrafting([1, 2, 3, 8, 1, 2, 4, 9, 1, 2, 3, 7, 1, 2]).propose(8, 1)

    chances = {node.path[0]: node.chance for node in tree[1:]}
    assert chances[3] == pytest.approx(2 * chances[4])  # both followed the longest suffix, 2 times and once
    assert max(chances, key=lambda x: chances[x]) == 3


def test_what_followed_a_shorter_suffix_only_shares_what_is_left() -> None:
    # 1 2 was followed by 3, and 2 alone also by 5.
    drafting = SuffixDrafting([9, 2, 5, 1, 2, 3, 7, 1, 2])
    first, *_ = drafting.texts[0].contexts(drafting.texts[0].end)
    assert first.length == 2

    chances = {node.path[0]: node.chance for node in drafting.propose(8, 1)[1:]}

    # Rates of suffixes of two ids and of one at the start: 0.5 and 0.3; 2 was followed by 5 and by 3, which is known.
    assert chances == {3: pytest.approx(0.5), 5: pytest.approx(0.5 * 0.3)}


def test_nodes_come_in_the_order_of_their_chance_behind_their_parents() -> None:
    tree = SuffixDrafting([*range(12), *range(5), *range(12), 3]).propose(12, 6)

    assert [node.chance for node in tree] == sorted((node.chance for node in tree), reverse=True)
    assert all(tree[node.parent].path == node.path[:-1] and node.parent < at for at, node in enumerate(tree) if at)
    assert len({node.path for node in tree}) == len(tree) <= 13


def test_suffixes_that_fail_are_expected_less() -> None:
    drafting = SuffixDrafting([1, 2, 3] * 3)
    before = drafting.propose(4, 4)[1].chance

    for x in (9, 1, 2, 8, 1, 2, 7, 1, 2, 6, 1, 2):
        drafting.propose(4, 4)
        drafting.observe([x])

    assert drafting.propose(4, 4)[1].chance < before


def test_earlier_outputs_are_expected_again(tmp_path: Path) -> None:
    file = tmp_path / "earlier.jsonl"
    file.write_text("\n".join(map(json.dumps, ([5, 6, 7, 8, 9], [5, 6, 7, 8, 9], [1, 2]))))
    drafting = SuffixDrafting([4, 5, 6], read_corpus(file))

    assert max((node.path for node in drafting.propose(8, 8)), key=len) == (7, 8, 9)
    drafting.observe([7])
    assert drafting.propose(8, 8)[1].path == (8,)
    assert len(SuffixDrafting([4, 9, 1], read_corpus(file)).propose(8, 8)[1].path) == 1  # no row goes on in the next
    assert SuffixDrafting([4, 9], read_corpus(file)).propose(8, 8)[1:] == []


def test_the_end_of_a_row_is_counted_and_never_drafted() -> None:
    drafting = SuffixDrafting([1], Automaton([1, END, 1, END, 1, 2, END]))

    assert {node.path: node.chance for node in drafting.propose(8, 8)[1:]} == {(2,): pytest.approx(0.3 / 3)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]\n[1, -2]\n", "line 2: expected a list of ids, got -2"),
        ("[1, true]\n", "line 1: expected a list of ids, got True"),
        ("[1.0]\n", "got 1.0"),
        ("3\n", "line 1: expected a list of ids, got 3"),
        ('{"ids": [1]}\n', "line 1: expected a list of ids"),
        ("[1, 2\n", "line 1: "),
        ("", "an empty one"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "earlier.jsonl").write_text(text)

    with pytest.raises(RunError, match=r"earlier\.jsonl") as error:
        read_corpus(tmp_path / "earlier.jsonl")
    assert message in str(error.value)


@pytest.mark.parametrize("kind", ["absent", "folder", "fifo"])
def test_a_place_without_a_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "earlier.jsonl"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)

    with pytest.raises(RunError, match="expected JSON Lines"):
        read_corpus(path)
