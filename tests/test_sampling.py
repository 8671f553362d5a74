"""Logits to probabilities by the plain definitions, and probabilities to ids by uniforms."""

from __future__ import annotations

import math

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_run.sampling import pick, probabilities
from crtcore import FieldError, Limits, Sampling

RULES = settings(max_examples=200, deadline=None, derandomize=True, database=None)
LOGIT = st.integers(-8, 8).map(lambda steps: 0.37 * steps) | st.just(-math.inf)
LOGITS = st.lists(LOGIT, min_size=1, max_size=6).filter(lambda row: max(row) > -math.inf)
SAMPLINGS = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.5]),
    top_k=st.integers(0, 7),
    top_p=st.sampled_from([0.0, 0.35, 0.62, 0.93, 1.0]),
    min_p=st.sampled_from([0.0, 0.15, 0.58, 1.0]),
)


def plainly(logits: list[float], sampling: Sampling) -> list[float]:
    """The distribution that the fields of `Sampling` describe, id by id."""
    ranked = sorted(range(len(logits)), key=lambda x: (-logits[x], x))
    if sampling.temperature == 0:
        return [float(x == ranked[0]) for x in range(len(logits))]
    weights = [math.exp((logit - max(logits)) / sampling.temperature) for logit in logits]
    distribution = [weight / math.fsum(weights) for weight in weights]
    kept: list[int] = []
    for rank, x in enumerate(ranked):
        enough = math.fsum(distribution[y] for y in kept) >= sampling.top_p
        likely = distribution[x] >= sampling.min_p * distribution[ranked[0]]
        if rank == 0 or (likely and not enough and not 0 < sampling.top_k <= rank):
            kept.append(x)
    mass = math.fsum(distribution[x] for x in kept)
    return [distribution[x] / mass if x in kept else 0.0 for x in range(len(logits))]


@RULES
@given(LOGITS, SAMPLINGS)
def test_the_distribution_follows_the_plain_definitions(logits: list[float], sampling: Sampling) -> None:
    distribution = probabilities(torch.tensor(logits, dtype=torch.float64), sampling).tolist()

    plain = plainly(logits, sampling)
    assert distribution == pytest.approx(plain, abs=1e-14)
    assert [p == 0 for p in distribution] == [p == 0 for p in plain]


@RULES
@given(st.lists(LOGITS, min_size=2, max_size=4), SAMPLINGS)
def test_rows_do_not_depend_on_one_another(rows: list[list[float]], sampling: Sampling) -> None:
    table = torch.tensor([row + [-math.inf] * (6 - len(row)) for row in rows])

    together = probabilities(table, sampling)

    assert torch.equal(together, torch.stack([probabilities(row, sampling) for row in table]))


@st.composite
def bans(draw: st.DrawFn) -> tuple[list[float], tuple[int, ...]]:
    """Logits, and ids to ban that leave one which is possible; an id may be named twice."""
    logits = draw(LOGITS.filter(lambda row: len(row) > 1))
    spared = draw(st.sampled_from([x for x, logit in enumerate(logits) if logit > -math.inf]))
    others = st.sampled_from([x for x in range(len(logits)) if x != spared])
    return logits, tuple(draw(st.lists(others, min_size=1, max_size=6)))


@RULES
@given(bans(), SAMPLINGS)
def test_a_banned_id_is_one_that_the_vocabulary_does_not_have(
    case: tuple[list[float], tuple[int, ...]], sampling: Sampling
) -> None:
    logits, banned = case
    others = [x for x in range(len(logits)) if x not in banned]

    distribution = probabilities(
        torch.tensor(logits, dtype=torch.float64), attrs.evolve(sampling, banned=banned)
    ).tolist()

    assert [distribution[x] for x in banned] == [0] * len(banned)
    plain = plainly([logits[x] for x in others], sampling)
    assert [distribution[x] for x in others] == pytest.approx(plain, abs=1e-14)
    assert [distribution[x] == 0 for x in others] == [p == 0 for p in plain]


@RULES
@given(bans(), st.sampled_from([0.3, 1.0, 2.5]))
def test_a_ban_conditions_the_distribution_on_the_other_ids(
    case: tuple[list[float], tuple[int, ...]], temperature: float
) -> None:
    logits, banned = torch.tensor(case[0], dtype=torch.float64), list(case[1])
    rest = probabilities(logits, Sampling(temperature=temperature))
    rest[banned] = 0

    distribution = probabilities(logits, Sampling(temperature=temperature, banned=case[1]))

    assert distribution.tolist() == pytest.approx((rest / rest.sum()).tolist(), rel=1e-12)


def test_banned_ids_do_not_count_among_the_k() -> None:
    distribution = probabilities(torch.tensor([3.0, 2.0, 1.0, 0.0]).double().log1p(), Sampling(top_k=2, banned=(0,)))

    assert distribution.tolist() == pytest.approx([0, 3 / 5, 2 / 5, 0])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_logit_of_a_banned_id_does_not_matter(bad: float, temperature: float) -> None:
    distribution = probabilities(torch.tensor([0.0, bad]), Sampling(temperature=temperature, banned=(1,)))

    assert distribution.tolist() == [1, 0]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_whose_possible_ids_are_all_banned_has_no_distribution(temperature: float) -> None:
    distribution = probabilities(torch.tensor([0.0, -math.inf]), Sampling(temperature=temperature, banned=(0,)))

    assert distribution.isnan().all()


def test_a_ban_leaves_the_logits_alone() -> None:
    logits = torch.zeros(3, dtype=torch.float64)

    probabilities(logits, Sampling(banned=(1,)))

    assert logits.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("banned", "message"),
    [
        ((0, 3), "sampling.banned: expected ids below the vocabulary, 3, got 3"),
        ((2, 0, 1), "sampling.banned: expected an id that may be drawn, got all 3 banned"),
    ],
)
def test_a_ban_outside_the_vocabulary_is_refused_unread(banned: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        probabilities(torch.empty(2, 3, device="meta"), Sampling(banned=banned))


def test_no_value_is_read_on_the_host_for_a_ban() -> None:
    distribution = probabilities(torch.empty(2, 3, device="meta"), Sampling(banned=(1,), top_k=1, top_p=0.5, min_p=0.1))

    assert distribution.shape == (2, 3)


def test_a_negative_id_cannot_be_banned() -> None:
    with pytest.raises(FieldError, match="banned: expected an integer of at least 0, got -1"):
        Sampling(banned=(0, -1))


def test_float64_is_kept_and_all_else_is_float32() -> None:
    dtypes = [probabilities(torch.zeros(2, dtype=d), Sampling()).dtype for d in (torch.float64, torch.bfloat16)]

    assert dtypes == [torch.float64, torch.float32]


def test_among_equals_the_smaller_id_stays() -> None:
    logits = torch.tensor([0.0, 1.0, 1.0, 1.0])

    distributions = [probabilities(logits, one).tolist() for one in (Sampling(temperature=0), Sampling(top_k=1))]

    assert distributions == [[0, 1, 0, 0]] * 2


def test_top_p_zero_keeps_the_likeliest() -> None:
    assert probabilities(torch.tensor([0.0, 2.0, 1.0]), Sampling(top_p=0)).tolist() == [0, 1, 0]


def test_a_tiny_temperature_is_temperature_zero() -> None:
    logits = torch.tensor([30.0, 31.0, -math.inf])

    assert probabilities(logits, Sampling(temperature=1e-40)).tolist() == [0, 1, 0]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("row", [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (-math.inf, -math.inf)])
def test_a_row_without_a_finite_maximum_has_no_distribution(row: tuple[float, float], temperature: float) -> None:
    distribution = probabilities(torch.tensor(row), Sampling(temperature=temperature, top_k=1))

    assert distribution.isnan().all()


@RULES
@given(
    st.lists(st.sampled_from([0.0, 1e-300, 1e-12, 0.1, 0.5, 1.0]) | st.floats(1e-6, 1), min_size=1, max_size=9),
    st.integers(1, 512),
)
def test_stratified_uniforms_pick_in_proportion(weights: list[float], count: int) -> None:
    distribution = torch.tensor([*weights, 0.25], dtype=torch.float64)
    distribution = distribution / distribution.sum()
    uniforms = (torch.arange(count) * 2 + 1) * 2**32 // (2 * count)

    seen = pick(distribution.expand(count, -1), uniforms).bincount(minlength=len(distribution))

    assert len(seen) == len(distribution)
    assert ((seen - distribution * count).abs() <= 1 + 1e-6).all()
    assert (seen[distribution == 0] == 0).all()


@RULES
@given(st.lists(st.sampled_from([0.0, 2.0**-60, 1e-9, 0.3]), min_size=1, max_size=6), st.sampled_from([0, 2**32 - 1]))
def test_the_first_and_the_last_uniform_pick_possible_ids(weights: list[float], uniform: int) -> None:
    distribution = torch.tensor([*weights, 2.0**-60, 0.0], dtype=torch.float64)

    picked = int(pick(distribution, torch.tensor(uniform)))

    possible = [x for x, weight in enumerate(distribution.tolist()) if weight > 0]
    assert picked in possible
    assert uniform > 0 or picked == possible[0]


def test_weights_need_not_sum_to_one() -> None:
    distribution = torch.tensor([1.0, 3.0]) * 2.0**-50
    uniforms = torch.tensor([0, 2**30 - 1, 2**30, 2**32 - 1])  # a quarter of the uniforms is below 2**30

    assert pick(distribution.expand(4, -1), uniforms).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_weights_of_any_precision_pick_as_the_same_ones_in_float64(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    distribution = torch.softmax(6 * torch.randn(200, 500, generator=generator), -1).to(dtype)
    uniforms = torch.randint(2**32, (200,), generator=generator)

    picked = pick(distribution, uniforms)

    assert torch.equal(picked, pick(distribution.double(), uniforms))


NOTHING = {
    "as many ids": Sampling(top_k=128_256),
    "more ids": Sampling(top_k=128_257),
    "more ids than a machine counts": Sampling(top_k=2**70),
    "the whole mass": Sampling(top_p=1.0),
    "any ratio": Sampling(min_p=5e-324),
    "a ratio below float32": Sampling(min_p=1e-60),
    "all of them": Sampling(top_k=128_256, top_p=1.0, min_p=1e-60),
}


@pytest.mark.parametrize("sampling", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_a_filter_that_rules_out_nothing_changes_no_bit(
    sampling: Sampling, dtype: torch.dtype, temperature: float
) -> None:
    logits = 4 * torch.randn(2, 128_256, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits[0, ::3] = -math.inf
    whole = probabilities(logits.to(dtype), Sampling(temperature=temperature))

    distribution = probabilities(logits.to(dtype), attrs.evolve(sampling, temperature=temperature))

    assert torch.equal(distribution, whole)


def test_the_k_likeliest_stay_where_one_has_all_the_mass_that_float32_adds() -> None:
    distribution = probabilities(torch.tensor([-30.0, 0.0, -20.0, -40.0]), Sampling(top_k=3))

    assert (distribution > 0).tolist() == [True, True, True, False]


def test_ids_are_ranked_by_logits_where_probabilities_are_equal() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, 1.0])

    kept = [probabilities(logits, Sampling(top_k=k, temperature=1e30)).nonzero()[:, 0].tolist() for k in (1, 2, 3)]

    assert kept == [[2], [1, 2], [1, 2, 3]]  # of ids 1 and 3, whose logits are equal, the smaller


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-45, 1e-38])
def test_the_coldest_temperatures_take_the_largest(dtype: torch.dtype, temperature: float) -> None:
    rows = torch.tensor([[1.0, 3.0, 2.0], [3.0, 1.0, 3.0], [3e38, -3e38, -math.inf]], dtype=dtype)

    distribution = probabilities(rows, Sampling(temperature=temperature))

    assert distribution.tolist() == [[0, 1, 0], [0.5, 0, 0.5], [1, 0, 0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [1e38, 3.4e38, 1e39, 1e300, 1.7e308])
def test_the_hottest_temperatures_give_possible_ids_equal_chances(dtype: torch.dtype, temperature: float) -> None:
    logits = torch.tensor([1.0, 3.0, -math.inf, 2.0], dtype=dtype)

    distribution = probabilities(logits, Sampling(temperature=temperature))

    assert distribution.tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])


def test_a_difference_beyond_float32_is_divided_before_it_overflows() -> None:
    distribution = probabilities(torch.tensor([2e38, -2e38]), Sampling(temperature=2e38))

    assert distribution.tolist() == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))])


@pytest.mark.parametrize("top_k", [-1, 2.5, True])
def test_a_number_of_ids_is_an_integer(top_k: float) -> None:
    with pytest.raises(FieldError, match=f"top_k: expected an integer of at least 0, got {top_k}"):
        Sampling(top_k=top_k)  # type: ignore[arg-type]


@pytest.mark.parametrize("stop", [-1, 1.5, True, "2"])
def test_a_stop_id_is_an_id(stop: int) -> None:
    with pytest.raises(FieldError, match=f"stop: expected an integer of at least 0, got {stop!r}"):
        Limits(length=1, stop=(0, stop))
