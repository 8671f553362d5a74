"""Trees and batches of them."""

from __future__ import annotations

import pytest

from crt_verify import Tree
from crt_verify.tree import batch

TREE = Tree(parents=[-1, 0, 0, 1], tokens=[-1, 3, 5, 2])


def test_a_tree_has_children_depths_and_paths() -> None:
    assert [TREE.children(node) for node in range(4)] == [(1, 2), (3,), (), ()]
    assert (len(TREE), TREE.depth, TREE.depths, TREE.path(3)) == (4, 2, (0, 1, 1, 2), (3, 2))


def test_equal_trees_are_one_key() -> None:
    assert {TREE: 1}[Tree(parents=(-1, 0, 0, 1), tokens=(-1, 3, 5, 2))] == 1


@pytest.mark.parametrize(
    ("parents", "tokens", "reason"),
    [
        ([-1, 0], [-1], "a token for each parent, got 2 and 1"),
        ([], [], "node 0 to be the root"),
        ([0], [-1], "node 0 to be the root"),
        ([-1], [4], "node 0 to be the root"),
        ([-1, 1], [-1, 4], "node 1's parent to come before it, got 1"),
        ([-1, -1], [-1, 4], "node 1's parent to come before it, got -1"),
        ([-1, 0], [-1, -1], "node 1 to carry an id, got -1"),
    ],
)
def test_an_invalid_tree_is_refused(parents: list[int], tokens: list[int], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Tree(parents=parents, tokens=tokens)


def test_a_batch_is_padded_at_the_end() -> None:
    trees = batch([Tree([-1], [-1]), TREE])

    assert trees.parents.tolist() == [[-1, -1, -1, -1], [-1, 0, 0, 1]]
    assert trees.tokens.tolist() == [[-1, -1, -1, -1], [-1, 3, 5, 2]]
    assert trees.nodes.tolist() == [1, 4]


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one tree"):
        batch([])
