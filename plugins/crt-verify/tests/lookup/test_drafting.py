"""Drafts from a text: what is guessed, and what edits teach."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from crt_verify.lookup.copying import Copying, Replacement
from crt_verify.lookup.drafting import Drafting
from crt_verify.lookup.history import LONGEST, History, Match


def calls(prompt: Sequence[int], text: Sequence[int], *, nodes: int = 16, depth: int = 16) -> int:
    """Rounds that a target which writes `text` takes."""
    drafting, at, rounds = Drafting(prompt), 0, 0
    while at < len(text):
        tree = drafting.propose(nodes, depth)
        below = {(node.parent, node.path[-1]): index for index, node in enumerate(tree) if index}
        emitted, node = [], 0
        while at + len(emitted) < len(text):
            emitted.append(text[at + len(emitted)])
            if (node := below.get((node, emitted[-1]), -1)) < 0:
                break
        drafting.observe(emitted)
        at, rounds = at + len(emitted), rounds + 1
    return rounds


def test_matches_are_the_longest_and_latest_first() -> None:
    #      0  1  2  3  4  5  6  7  8
    ids = [7, 1, 2, 9, 1, 2, 5, 1, 2]

    assert History(ids).matches(3) == [Match(6, 2), Match(3, 2)]
    assert History([*ids, 5]).matches(3) == [Match(7, 3)]
    assert History([]).matches(3) == []


def test_a_match_is_compared_up_to_a_bound() -> None:
    assert History([4] * 100).matches(1) == [Match(99, LONGEST)]


def test_a_tree_holds_what_followed_each_match() -> None:
    drafting = Drafting([1, 2, 3, 8, 1, 2, 4, 8, 1, 2])

    tree = drafting.propose(8, 1)

    assert sorted(node.path for node in tree[1:]) == [(3,), (4,)]
    assert tree[1].path == (4,)  # the later one is expected first


def test_nodes_come_in_the_order_of_their_chance_behind_their_parents() -> None:
    drafting = Drafting([*range(12), *range(5), *range(12), 3])

    tree = drafting.propose(12, 6)

    assert [node.chance for node in tree] == sorted((node.chance for node in tree), reverse=True)
    assert all(node.parent < index for index, node in enumerate(tree))
    assert all(tree[node.parent].path == node.path[:-1] for node in tree[1:])
    assert len({node.path for node in tree}) == len(tree) <= 13


def test_a_text_that_overlaps_itself_is_drafted_beyond_its_end() -> None:
    tree = Drafting([5, 6] * 4).propose(6, 6)

    assert max((node.path for node in tree), key=len) == (5, 6, 5, 6, 5, 6)


def test_a_copy_with_an_edit_goes_on_behind_it() -> None:
    source = list(range(100, 140))
    text = [*source[:20], 999, *source[21:]]

    # 16 drafted ids and one a round: three rounds for the text, one that ends at the edit, one to find the place again.
    assert calls([*source, 1], text) <= 7


def test_an_edit_that_was_seen_is_remembered() -> None:
    copying = Copying(History([10, 11, 12, 13, 14, 15, 1]))

    for x in (10, 11, 70, 71, 13, 14):
        copying.append(x)

    assert copying.replacements == {12: Replacement((12,), (70, 71))}


def test_a_rename_is_expected_where_the_name_comes_again() -> None:
    source = [x for line in range(30) for x in (200 + line, 7, 8, 300 + line)]  # 7 8 is the name
    renamed = [y for x in source for y in ((50, 51, 52) if x == 7 else () if x == 8 else (x,))]

    assert calls([*source, 1], renamed) <= 1 + len(renamed) // 6


def test_guesses_that_fail_are_expected_less() -> None:
    drafting = Drafting([1, 2, 3] * 3)
    before = drafting.propose(4, 4)[1].chance

    for x in (9, 1, 2, 8, 1, 2, 7, 1, 2, 6, 1, 2):
        drafting.propose(4, 4)
        drafting.observe([x])

    assert drafting.propose(4, 4)[1].chance < before


@settings(deadline=None)
@given(prompt=st.lists(st.integers(0, 2), max_size=9), text=st.lists(st.integers(0, 2), min_size=1, max_size=40))
def test_any_text_is_written_in_at_most_a_round_an_id(prompt: list[int], text: list[int]) -> None:
    assert 1 <= calls(prompt, text, nodes=5, depth=4) <= len(text)
