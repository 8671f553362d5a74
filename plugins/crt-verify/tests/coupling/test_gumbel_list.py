"""The same seed gives the same ids, whatever is drafted, and these have the target's distribution."""

from __future__ import annotations

import math
from collections import Counter
from itertools import count
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from torch import Tensor

from crt_basics.priors.table import TablePrior
from crt_run.sampling import probabilities
from crt_verify.coupling.race import Race, exponentials
from crt_verify.coupling.spec import GumbelList, Jacobi
from crtcore import Limits, Sampling
from crtcore.errors import PriorError
from crtcore.kinds import Generation, Request

from ..counted import Counted

ROWS = 60_000


def table(seed: int, vocabulary: int = 3, spread: float = 1.0) -> TablePrior:
    """A random table that looks two ids back, with a part for each of two classes."""
    generator = torch.Generator().manual_seed(seed)
    shape = 3, (vocabulary + 1) ** 2, vocabulary
    return TablePrior(spread * torch.randn(shape, generator=generator, dtype=torch.float64))


def plain(target: TablePrior, request: Request) -> list[list[int]]:
    """Each id is the first to arrive at its position, by a full pass for each."""
    rows = []
    for row, prompt in enumerate(request.prompt.tolist()):
        start = [x for x in prompt if x >= 0]
        race, ids = Race(request.row_seeds[row : row + 1], target.vocabulary), list(start)
        class_ids = None if request.class_ids is None else request.class_ids[row : row + 1]
        while len(ids) < len(start) + request.limits.length and not (
            len(ids) > len(start) and ids[-1] in request.limits.stop
        ):
            logits = target(torch.tensor([ids], dtype=torch.int64).reshape(1, -1), class_ids)[0, -1].detach()
            times = exponentials(race.integers(torch.tensor([[len(ids)]])))[0, 0]
            ids.append(int((times / probabilities(logits, request.sampling)).argmin()))
        rows.append(ids[len(start) :])
    return rows


def emitted(generation: Generation) -> list[list[int]]:
    return [[x for x in row if x >= 0] for row in generation.ids.tolist()]


SPECS = st.builds(
    GumbelList,
    branching=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
    siblings=st.sampled_from(["earliest", "own-times"]),
)
SAMPLINGS = st.builds(
    Sampling,
    temperature=st.sampled_from([1.0, 0.3, 0.0]),
    top_k=st.sampled_from([0, 2]),
    top_p=st.sampled_from([1.0, 0.8]),
)
LIMITS = st.builds(Limits, length=st.sampled_from([12, 5, 2, 1, 0]), stop=st.sampled_from([(), (1,)]))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**20),
    vocabulary=st.integers(2, 6),
    prompts=st.lists(st.lists(st.integers(0, 1), max_size=4), min_size=1, max_size=3),
    sampling=SAMPLINGS,
    spec=SPECS,
    limits=LIMITS,
)
def test_a_seeds_ids_are_the_same_with_any_draft_and_with_none(
    seed: int, vocabulary: int, prompts: list[list[int]], sampling: Sampling, spec: GumbelList, limits: Limits
) -> None:
    target = table(seed, vocabulary)
    widest = max(map(len, prompts))
    prompt = torch.tensor([[*row, *[-1] * (widest - len(row))] for row in prompts], dtype=torch.int64)
    prompt = prompt.reshape(len(prompts), widest)
    rows = torch.arange(len(prompts))
    request = Request(prompt, limits, sampling, rows % 3 - 1, rows + seed)

    due = plain(target, request)
    for draft in (None, target, table(seed + 1, vocabulary), table(seed + 2, vocabulary, spread=9.0)):
        assert emitted(spec.build().generate(target, request, draft=draft)) == due
    assert emitted(Jacobi(window=3, coupling="gumbel").build().generate(target, request)) == due


def draw(spec: GumbelList, target: Any, draft: Any, rows: int, limits: Limits) -> Generation:
    """Rows after a prompt of one id."""
    request = Request(torch.ones(rows, 1, dtype=torch.int64), limits, Sampling())
    return spec.build().generate(target, request, draft=draft)


def fits(generation: Generation, chances: dict[tuple[int, ...], float]) -> float:
    """The p-value of a G-test of whole rows; 0 if a row is impossible."""
    seen = Counter(map(tuple, emitted(generation)))
    if not set(seen) <= set(chances):
        return 0.0
    cells = [(seen[row], ROWS * chance) for row, chance in chances.items() if ROWS * chance >= 5]
    rest = ROWS - sum(n for n, _ in cells), ROWS - math.fsum(due for _, due in cells)
    score = 2 * math.fsum(n * math.log(n / due) for n, due in (*cells, rest) if n)
    return float(chi2.sf(score, len(cells)))


BOTH = [GumbelList(branching=(2, 1)), GumbelList(branching=(3, 2), siblings="own-times")]


@pytest.mark.parametrize("spec", BOTH, ids=str)
def test_drawn_rows_follow_the_target(spec: GumbelList) -> None:
    target, draft, limits = table(0), table(1), Limits(length=4, stop=(2,))
    request = Request(torch.ones(1, 1, dtype=torch.int64), limits, Sampling())

    chances = spec.build().distribution(target, request, draft=draft)

    assert fits(draw(spec, target, draft, ROWS, limits), chances) > 1e-6  # the false-alarm rate


@pytest.mark.parametrize("spec", BOTH, ids=str)
def test_times_of_the_last_accepted_position_used_once_more_are_wrong(
    spec: GumbelList, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, draft, limits = table(0), table(1), Limits(length=4, stop=(2,))
    request = Request(torch.ones(1, 1, dtype=torch.int64), limits, Sampling())
    chances = spec.build().distribution(target, request, draft=draft)
    original = Race.draw

    def reused(race: Race, p: Tensor, positions: Tensor) -> Tensor:
        return original(race, p, torch.cat([positions[:, :1], positions[:, 1:] - 1], 1))

    monkeypatch.setattr(Race, "draw", reused)

    assert fits(draw(spec, target, draft, ROWS, limits), chances) < 1e-6


def test_times_by_call_in_place_of_position_change_the_ids_with_the_draft(monkeypatch: pytest.MonkeyPatch) -> None:
    target, limits = table(0), Limits(length=12)
    spec, original, calls = GumbelList(branching=(1, 1)), Race.draw, count()
    sound = [draw(spec, target, draft, 50, limits).ids for draft in (None, table(1))]

    def by_call(race: Race, p: Tensor, positions: Tensor) -> Tensor:
        return original(race, p, torch.full_like(positions, 100 * next(calls)) + torch.arange(p.shape[1]))

    monkeypatch.setattr(Race, "draw", by_call)
    first, calls = draw(spec, target, None, 50, limits).ids, count()
    second = draw(spec, target, table(1), 50, limits).ids

    assert torch.equal(*sound)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("siblings", ["earliest", "own-times"])
@pytest.mark.parametrize("branching", [(1, 1), (2, 1), (3, 2)])
def test_a_draft_equal_to_the_target_is_accepted_whole(siblings: str, branching: tuple[int, ...]) -> None:
    drawn = draw(
        GumbelList(branching=branching, siblings=siblings), table(0), table(0), 50, Limits(length=7)
    )  # fmt: skip

    assert drawn.accepted.tolist() == [[0, 2, 2]] * 50  # 1 + 3 + 3 ids
    if branching == (1, 1):
        assert drawn.proposed.tolist() == [4] * 50
        assert drawn.draft_calls.tolist() == [5] * 50  # the prompt's own and one a level


@pytest.mark.parametrize("length", range(1, 9))
@pytest.mark.parametrize("branching", [(1, 1), (3, 2)])
def test_counted_calls_are_those_made(branching: tuple[int, ...], length: int) -> None:
    target, draft = Counted(table(0)), Counted(table(1))

    drawn = draw(GumbelList(branching=branching), target, draft, 1, Limits(length=length))

    assert target.calls == int(drawn.target_calls)
    assert draft.calls == int(drawn.draft_calls)


def test_more_siblings_take_fewer_target_calls() -> None:
    target, draft = table(2, 6, 2.0), table(3, 6, 1.0)

    one, list_, early = (
        int(draw(GumbelList(branching=(k, 1), siblings=siblings), target, draft, 200, Limits(length=25))
            .target_calls.sum())
        for k, siblings in ((1, "earliest"), (4, "own-times"), (4, "earliest"))
    )  # fmt: skip

    assert early < list_ < one


def test_more_siblings_than_ids_are_not_drafted() -> None:
    drawn = draw(GumbelList(branching=(5, 1)), table(0), table(1), 20, Limits(length=3))

    assert drawn.accepted.tolist() == [[0, 1]] * 20  # all three ids are drafted, so one of them comes
    assert drawn.proposed.tolist() == [3] * 20


def test_impossible_ids_are_not_drafted() -> None:
    logits = torch.tensor([0.0, 0.0, -math.inf], dtype=torch.float64)

    drawn = draw(GumbelList(branching=(3,)), table(0), TablePrior(logits[None, None]), 20, Limits(length=3))

    assert set(drawn.proposed.tolist()) == {2}


@pytest.mark.parametrize("broken", ["target", "draft"])
def test_nan_logits_are_reported(broken: str) -> None:
    logits = torch.zeros(1, 4, 3, dtype=torch.float64)
    logits[0, 2] = math.nan  # after id 2
    priors = {"target": table(0), "draft": table(1)} | {broken: TablePrior(logits)}

    with pytest.raises(PriorError, match=rf"^{broken}, row \d+, step \d+: expected logits with a finite maximum"):
        draw(GumbelList(branching=(2, 1)), priors["target"], priors["draft"], 50, Limits(length=13))


def test_another_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a draft over the target's 3 ids, got 4"):
        draw(GumbelList(), table(0), table(1, vocabulary=4), 1, Limits(length=3))


def test_too_many_rows_are_not_enumerated() -> None:
    request = Request(torch.zeros(1, 0, dtype=torch.int64), Limits(length=11), Sampling())

    for spec in (GumbelList(), Jacobi()):
        with pytest.raises(ValueError, match=r"expected at most 100000 rows, got 3\*\*11"):
            spec.build().distribution(table(0), request)
