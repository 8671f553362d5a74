"""Decoding by trees has the target's distribution, for every exact pairing."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import torch
from scipy.stats import chi2

from crt_basics.priors.table import TablePrior
from crt_run.sampling import probabilities
from crt_verify.drafters import Beam, Branching, Chain, Drafter, GreedyTop, Likeliest, Paths
from crt_verify.pairing import EXACT, paired
from crt_verify.tree_decoder import TreeDecoder
from crtcore import Limits, Sampling
from crtcore.errors import PriorError
from crtcore.kinds import Generation, Request

from .counted import Counted

SMALL: dict[type[Drafter], Drafter] = {
    Chain: Chain(length=2),
    Paths: Paths(paths=2, length=2),
    Branching: Branching(branching=(2, 2)),
    Beam: Beam(width=2, length=2),
    GreedyTop: GreedyTop(branching=(2, 2)),
    Likeliest: Likeliest(width=2, length=2, size=3),
}
PAIRS = [(SMALL[kind], name) for name, kinds in EXACT.items() for kind in kinds]


def table(seed: int, vocabulary: int = 3, spread: float = 1.0) -> TablePrior:
    """A random table that looks two ids back."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, (vocabulary + 1) ** 2, vocabulary, generator=generator, dtype=torch.float64)
    return TablePrior(spread * logits)


def draw(decoder: TreeDecoder, target: Any, draft: Any, rows: int, limits: Limits, **options: Any) -> Generation:
    """Rows after a prompt of one id."""
    request = Request(torch.ones(rows, 1, dtype=torch.int64), limits, Sampling(**options))
    return decoder.generate(target, request, draft=draft)


def ancestral(target: TablePrior, limits: Limits) -> dict[tuple[int, ...], float]:
    """The target's distribution of rows after id 1."""
    chances = {(): 1.0}
    for _ in range(limits.length):
        going = {row: chances.pop(row) for row in list(chances) if not set(row) & set(limits.stop)}
        for row, chance in going.items():
            after = probabilities(target(torch.tensor([[1, *row]]))[0, -1], Sampling()).tolist()
            chances |= {(*row, x): chance * weight for x, weight in enumerate(after)}
    return chances


@pytest.mark.parametrize(("drafter", "rule"), PAIRS, ids=str)
def test_drawn_rows_follow_the_target(drafter: Drafter, rule: str) -> None:
    target, draft, limits, rows = table(0), table(1), Limits(length=5, stop=(2,)), 20_000

    drawn = draw(TreeDecoder(drafter, rule), target, draft, rows, limits)

    seen = Counter(tuple(x for x in row if x >= 0) for row in drawn.ids.tolist())
    chances = ancestral(target, limits)
    assert set(seen) <= set(chances)
    cells = [(seen[row], rows * chance) for row, chance in chances.items() if rows * chance >= 5]
    rest = rows - sum(n for n, _ in cells), rows - math.fsum(due for _, due in cells)
    score = 2 * math.fsum(n * math.log(n / due) for n, due in (*cells, rest) if n)
    assert chi2.sf(score, len(cells)) > 1e-6  # the false-alarm rate


@pytest.mark.parametrize(("drafter", "rule"), PAIRS, ids=str)
def test_a_chain_equal_to_the_target_is_accepted_whole(drafter: Drafter, rule: str) -> None:
    decoder = TreeDecoder(drafter, rule)

    drawn = draw(decoder, table(0), table(0), 20, Limits(length=7), temperature=0.0)

    assert drawn.accepted.tolist() == [[0, 2, 2]] * 20  # 1 + 3 + 3 ids
    assert drawn.target_calls.tolist() == [3] * 20


@pytest.mark.parametrize(
    ("drafter", "rule", "reason"),
    [
        (Beam(width=2, length=2), "traversal", "influenced by later siblings"),
        (Paths(paths=2, length=2), "recursive", "expected siblings drawn without replacement"),
        (Branching(branching=(2,)), "multiround", "expected siblings drawn with replacement"),
        (Branching(branching=(2,)), "kseq", "expected siblings drawn with replacement"),
        (Branching(branching=(2,)), "greedy", "expected the most likely ids"),
        (GreedyTop(branching=(2,)), "recursive", "expected siblings drawn without replacement"),
        (Paths(paths=2, length=1), "block", "expected chains"),
        (Chain(length=1), "luck", "expected one of single"),
    ],
)
def test_a_pairing_that_is_not_exact_is_refused_with_the_reason(drafter: Drafter, rule: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        paired(drafter, rule)


@pytest.mark.parametrize("length", range(1, 10))
@pytest.mark.parametrize("drafter", SMALL.values(), ids=str)
def test_counted_calls_are_those_made(drafter: Drafter, length: int) -> None:
    target, draft = Counted(table(0)), Counted(table(1))

    drawn = draw(TreeDecoder(drafter, "target-only"), target, draft, 1, Limits(length=length))

    assert target.calls == int(drawn.target_calls)
    assert draft.calls == int(drawn.draft_calls)


def test_wider_trees_take_fewer_target_calls() -> None:
    shapes = [(1, 1, 1), (2, 1, 1), (2, 2, 2), (4, 4, 4)]
    target, draft, limits = table(2, 6, 2.0), table(3, 6, 1.0), Limits(length=25)

    calls = [
        draw(TreeDecoder(Branching(branching=shape), "recursive"), target, draft, 100, limits).target_calls.sum()
        for shape in shapes
    ]

    assert all(fewer < more for more, fewer in pairwise(calls))


@pytest.mark.parametrize("broken", ["target", "draft"])
@pytest.mark.parametrize("drafter", [SMALL[Branching], SMALL[Beam]], ids=str)
def test_nan_logits_are_reported(broken: str, drafter: Drafter) -> None:
    logits = torch.zeros(1, 4, 3, dtype=torch.float64)
    logits[0, 2] = math.nan  # after id 2
    priors = {"target": table(0), "draft": table(1)} | {broken: TablePrior(logits)}

    with pytest.raises(PriorError, match=rf"^{broken}, row \d+, step \d+: expected logits with a finite maximum"):
        draw(TreeDecoder(drafter, "recursive"), priors["target"], priors["draft"], 50, Limits(length=13))


def test_no_draft_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a draft prior, got none"):
        draw(TreeDecoder(Chain(length=1), "single"), table(0), None, 1, Limits(length=3))


def test_another_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a draft over the target's 3 ids, got 4"):
        draw(TreeDecoder(Chain(length=1), "single"), table(0), table(1, vocabulary=4), 1, Limits(length=3))


def test_a_tree_is_no_deeper_than_what_is_left() -> None:
    drawn = draw(TreeDecoder(Chain(length=3), "single"), table(0), table(0), 20, Limits(length=7))

    assert drawn.accepted.tolist() == [[0, 3, 1]] * 20  # 1 + 4 + 2 ids
    assert drawn.proposed.tolist() == [4] * 20
    assert drawn.draft_calls.tolist() == [5] * 20  # the prompt's own and one a level


def test_a_draft_that_is_always_wrong_costs_no_target_call() -> None:
    target, draft = (TablePrior(row[None, None]) for row in torch.tensor([[0.0, -math.inf], [-math.inf, 0.0]]))

    drawn = draw(TreeDecoder(Chain(length=3), "single"), target, draft, 20, Limits(length=5))

    assert drawn.ids.tolist() == [[0] * 5] * 20
    assert drawn.target_calls.tolist() == [5] * 20


def test_more_target_calls_than_ids_are_never_made() -> None:
    drawn = draw(TreeDecoder(Chain(length=3), "single"), table(0), table(1), 50, Limits(length=13, stop=(2,)))

    assert (drawn.target_calls <= (drawn.ids >= 0).sum(-1)).all()


def test_float32_priors_are_drawn_from() -> None:
    target, draft = table(0).float(), table(1).float()

    drawn = draw(TreeDecoder(Branching(branching=(2, 1)), "recursive"), target, draft, 50, Limits(length=13))

    assert (drawn.ids >= 0).all()


def test_too_many_rows_are_not_enumerated() -> None:
    request = Request(torch.zeros(1, 0, dtype=torch.int64), Limits(length=11), Sampling())

    with pytest.raises(ValueError, match=r"expected at most 100000 rows, got 3\*\*11"):
        TreeDecoder(Chain(length=1), "single").distribution(table(0), request, draft=table(1))
