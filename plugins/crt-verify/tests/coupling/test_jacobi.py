"""Jacobi decoding has the target's distribution with every coupling, by enumeration and in samples."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from torch import Tensor

from crt_basics.priors.table import TablePrior
from crt_verify.coupling import exact
from crt_verify.coupling.redrawing import Coins
from crt_verify.coupling.spec import Jacobi
from crtcore import FieldError, Limits, Sampling
from crtcore.errors import PriorError
from crtcore.kinds import Generation, Request

COINS = ["maximal", "independent"]
COUPLINGS = [*COINS, "gumbel"]
ROWS = 60_000


def table(seed: int, vocabulary: int = 3, spread: float = 1.5, order: int = 2) -> TablePrior:
    generator = torch.Generator().manual_seed(seed)
    shape = 1, (vocabulary + 1) ** order, vocabulary
    return TablePrior(spread * torch.randn(shape, generator=generator, dtype=torch.float64))


def asked(rows: int, limits: Limits) -> Request:
    return Request(torch.ones(rows, 1, dtype=torch.int64), limits)


def target_rows(target: TablePrior, request: Request) -> dict[tuple[int, ...], float]:
    """The target's distribution of rows: what `gumbel` states, which enumerates no draft."""
    return Jacobi(coupling="gumbel").build().distribution(target, request)


def distance(stated: dict[tuple[int, ...], float], true: dict[tuple[int, ...], float]) -> float:
    """The total variation."""
    return sum(abs(stated.get(row, 0) - true.get(row, 0)) for row in stated | true) / 2


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**31 - 1),
    vocabulary=st.sampled_from([3, 2, 4]),
    window=st.sampled_from([2, 3, 1]),
    coupling=st.sampled_from(COINS),
    stop=st.sampled_from([(), (0,)]),
    sampling=st.builds(Sampling, temperature=st.sampled_from([1.0, 0.4]), top_k=st.sampled_from([0, 2])),
)
def test_its_rows_have_the_targets_distribution(
    seed: int, vocabulary: int, window: int, coupling: str, stop: tuple[int, ...], sampling: Sampling
) -> None:
    limits = Limits(length=8 - vocabulary, stop=stop)  # new positions come into windows of 1 from 5 ids on
    target, request = table(seed, vocabulary), asked(1, limits)._replace(sampling=sampling)

    stated = Jacobi(window=window, coupling=coupling).build().distribution(target, request)

    assert distance(stated, target_rows(target, request)) < 1e-12


@pytest.mark.parametrize("coupling", COINS)
def test_the_row_after_the_new_ids_in_place_of_that_drawn_from_is_wrong(
    coupling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, request = table(0), asked(1, Limits(length=4))
    original = exact._coupled
    monkeypatch.setattr(exact, "_coupled", lambda p, context, _, x: original(p, context, context, x))

    stated = Jacobi(window=2, coupling=coupling).build().distribution(target, request)

    assert distance(stated, target_rows(target, request)) > 0.01


@pytest.mark.parametrize("coupling", COINS)
def test_the_targets_row_in_place_of_the_residual_is_wrong(coupling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target, request = table(0), asked(1, Limits(length=4))
    monkeypatch.setattr(exact, "residual", lambda p, _: p)

    stated = Jacobi(window=2, coupling=coupling).build().distribution(target, request)

    assert distance(stated, target_rows(target, request)) > 0.01


def p_value(generation: Generation, chances: dict[tuple[int, ...], float]) -> float:
    """Of a G-test of whole rows."""
    seen = Counter(tuple(x for x in row if x >= 0) for row in generation.ids.tolist())
    cells = [(seen[row], ROWS * chance) for row, chance in chances.items() if ROWS * chance >= 5]
    rest = ROWS - sum(n for n, _ in cells), ROWS - math.fsum(due for _, due in cells)
    score = 2 * math.fsum(n * math.log(n / due) for n, due in (*cells, rest) if n)
    return float(chi2.sf(score, len(cells)))


@pytest.mark.parametrize("window", [1, 2, 5])
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_drawn_rows_follow_the_target(coupling: str, window: int) -> None:
    target, limits = table(0), Limits(length=6)

    drawn = Jacobi(window=window, coupling=coupling).build().generate(target, asked(ROWS, limits))

    assert p_value(drawn, target_rows(target, asked(1, limits))) > 1e-6  # the false-alarm rate


@pytest.mark.parametrize("coupling", COINS)
def test_integers_kept_for_a_position_together_with_a_residual_are_wrong(
    coupling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, limits = table(0), Limits(length=5)

    def kept(coins: Coins, position: Tensor, first: int, count: int, purpose: int) -> Tensor:
        return coins.noise.bits(position[:, None] + first + torch.arange(count), 0, purpose)

    monkeypatch.setattr(Coins, "integers", kept)
    drawn = Jacobi(window=2, coupling=coupling).build().generate(target, asked(ROWS, limits))

    assert p_value(drawn, target_rows(target, asked(1, limits))) < 1e-6


@pytest.mark.parametrize("window", [1, 2])
def test_new_positions_drawn_from_another_row_than_is_kept_are_wrong(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, limits = table(0), Limits(length=6)
    original = Coins.fresh

    def uniform(coins: Coins, p: Tensor, position: Tensor, first: int) -> Tensor:
        return original(coins, torch.full_like(p, 1 / 3) if first else p, position, first)

    monkeypatch.setattr(Coins, "fresh", uniform)
    drawn = Jacobi(window=window).build().generate(target, asked(ROWS, limits))

    assert p_value(drawn, target_rows(target, asked(1, limits))) < 1e-6


@pytest.mark.parametrize("coupling", COINS)
def test_drafts_tested_by_the_row_of_the_same_call_are_wrong(coupling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target, limits = table(0), Limits(length=5)
    original = Coins.redrawn
    monkeypatch.setattr(Coins, "redrawn", lambda coins, p, q, *others: original(coins, p, p, *others))

    drawn = Jacobi(window=2, coupling=coupling).build().generate(target, asked(ROWS, limits))

    assert p_value(drawn, target_rows(target, asked(1, limits))) < 1e-6


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_drafts_of_a_target_that_reads_no_ids_are_accepted_whole(coupling: str) -> None:
    drawn = Jacobi(window=3, coupling=coupling).build().generate(table(0, order=0), asked(50, Limits(length=11)))

    assert drawn.accepted.tolist() == [[0, 3, 3, 1]] * 50  # 1 + 4 + 4 + 2 ids
    assert drawn.proposed.tolist() == [7] * 50
    assert not drawn.draft_calls.any()


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_more_target_calls_than_ids_are_never_made(coupling: str) -> None:
    request = asked(50, Limits(length=13, stop=(2,)))

    drawn = Jacobi(window=4, coupling=coupling).build().generate(table(0), request)

    assert (drawn.target_calls <= (drawn.ids >= 0).sum(-1)).all()


def test_coupled_drafts_are_accepted_more_often_than_independent_ones() -> None:
    target, request = table(3, vocabulary=12, spread=1.0), asked(200, Limits(length=40))

    calls = {
        coupling: int(Jacobi(window=8, coupling=coupling).build().generate(target, request).target_calls.sum())
        for coupling in COINS
    }

    assert calls["maximal"] < calls["independent"] < 200 * 40


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_nan_logits_are_reported(coupling: str) -> None:
    logits = torch.zeros(1, 4, 3, dtype=torch.float64)
    logits[0, 2] = math.nan  # after id 2

    with pytest.raises(PriorError, match=r"^target, row \d+, step \d+: expected logits with a finite maximum"):
        Jacobi(window=2, coupling=coupling).build().generate(TablePrior(logits), asked(50, Limits(length=13)))


def test_a_window_has_at_least_one_id() -> None:
    with pytest.raises(FieldError, match="window: expected at least 1, got 0"):
        Jacobi(window=0)
