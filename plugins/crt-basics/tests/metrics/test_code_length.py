"""The two-part code: residual bits are a code, the width is the best one, and every part is charged once."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crt_basics.metrics import code_length
from crt_basics.metrics.code_length import entropy_nats, fitted_width, residual_bits
from crt_basics.metrics.specs import CodeLength
from crt_laws import Samples, measured

WIDTHS = st.floats(0.05, 50)
LEVELS = st.sampled_from((1, 2, 3, 17, 256))


def values(levels: int) -> Tensor:
    """Every level once, as an image element."""
    return torch.linspace(-1, 1, levels, dtype=torch.float64) if levels > 1 else -torch.ones(1).double()


def noisy(seed: int, count: int, width: float, levels: int) -> tuple[Tensor, Tensor]:
    """Data on levels, a rounded and cut Gaussian of `width` levels about the reconstruction."""
    generator = torch.Generator().manual_seed(seed)
    scale = (levels - 1) / 2
    reconstruction = 2 * torch.rand(count, 4, generator=generator, dtype=torch.float64) - 1
    noise = width * torch.randn(count, 4, generator=generator, dtype=torch.float64)
    level = ((reconstruction + 1) * scale + noise).round().clamp(0, levels - 1)
    return level / scale - 1, reconstruction


def evidence(**changes: Any) -> Samples:
    train, train_reconstructed = noisy(0, 60, 1.0, 17)
    real, reconstructed = noisy(1, 30, 1.0, 17)
    generator = torch.Generator().manual_seed(2)
    whole = Samples(
        train=train,
        train_reconstructed=train_reconstructed,
        real=real,
        reconstructed=reconstructed,
        generated=real,
        ids=torch.randint(5, (30, 3), generator=generator),
        id_nats=torch.rand(30, generator=generator) * 4,
        vocabulary=8,
        levels=17,
    )
    return whole._replace(**changes)


@settings(deadline=None, max_examples=200)
@given(LEVELS, WIDTHS, st.floats(-3, 3))
def test_the_bits_of_all_levels_make_a_code(levels: int, width: float, reconstruction: float) -> None:
    bits = residual_bits(values(levels)[:, None], torch.full((levels, 1), reconstruction).double(), levels, width)

    assert bits.isfinite().all()
    assert (bits >= 0).all()
    assert float(torch.exp2(-bits).sum()) == pytest.approx(1, abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from((17, 256)), WIDTHS, st.data())
def test_a_reconstruction_on_the_border_of_two_inner_cells_costs_the_same_in_both(
    levels: int, width: float, data: st.DataObject
) -> None:
    lower = data.draw(st.integers(1, levels - 3))
    border = torch.full((2, 1), (2 * lower + 1) / (levels - 1) - 1, dtype=torch.float64)

    lower_bits, upper_bits = residual_bits(values(levels)[lower : lower + 2, None], border, levels, width).tolist()

    assert lower_bits == pytest.approx(upper_bits, rel=1e-9)
    assert lower_bits >= 1 - 1e-9


def test_the_last_cell_has_all_that_is_beyond_it() -> None:
    data, border = torch.tensor([[1.0]]), torch.tensor([[1 - 1 / 16]])  # half a level under the last of 17

    bits = residual_bits(data, border, 17, 3.0)

    assert float(bits) == pytest.approx(1, abs=1e-12)


def test_an_inner_cell_has_the_mass_of_a_gaussian_between_its_borders() -> None:
    bits = residual_bits(torch.tensor([[0.0]]), torch.tensor([[0.125]]), 17, 2.0)  # one level off

    mass = 0.5 * (math.erf(1.5 / 2 / math.sqrt(2)) - math.erf(0.5 / 2 / math.sqrt(2)))
    assert float(bits) == pytest.approx(-math.log2(mass), rel=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_far_in_a_tail_bits_are_finite_and_follow_the_nearer_border(sign: int) -> None:
    bits = residual_bits(torch.tensor([[-sign * 0.875]]), torch.tensor([[sign * 1.0]]), 17, 0.05)  # 15 levels off

    sigmas = 14.5 / 0.05
    nats = sigmas**2 / 2 + math.log(sigmas * math.sqrt(2 * math.pi)) + math.log1p(1 / sigmas**2)  # Mills' ratio
    assert float(bits) == pytest.approx(nats / math.log(2), abs=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_whole_range_off_at_the_least_width_is_finite(sign: int) -> None:
    bits = residual_bits(torch.tensor([[sign * 1.0]]), torch.tensor([[-sign * 1.0]]), 17, 0.05)

    assert (15.5 / 0.05) ** 2 / 2 / math.log(2) < float(bits) < math.inf


def test_exact_reconstructions_cost_next_to_nothing_at_a_small_width() -> None:
    data = values(17)[None]

    bits = residual_bits(data, data, 17, 0.05)

    assert 0 <= float(bits) < 1e-12


@settings(deadline=None, max_examples=100)
@given(WIDTHS, st.integers(0, 16), st.floats(-1, 1), st.floats(-1, 1))
def test_a_farther_reconstruction_on_one_side_never_costs_less(
    width: float, level: int, one: float, other: float
) -> None:
    value = level / 8 - 1
    near, far = sorted((abs(one), abs(other)))
    side = 1 if value < 0 else -1
    reconstructions = torch.tensor([[value + side * near], [value + side * far]], dtype=torch.float64)

    bits = residual_bits(torch.full((2, 1), value), reconstructions, 17, width)

    assert bits[0] <= bits[1] + 1e-12 * (1 + bits[1])


def test_bits_of_elements_add_up_in_a_sample() -> None:
    data, reconstruction = noisy(3, 5, 2.0, 17)

    bits = residual_bits(data.reshape(5, 1, 2, 2), reconstruction.reshape(5, 1, 2, 2), 17, 1.5)

    alone = [residual_bits(data[:, [i]], reconstruction[:, [i]], 17, 1.5) for i in range(4)]
    torch.testing.assert_close(bits, alone[0] + alone[1] + alone[2] + alone[3])


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("seed", range(3))
def test_no_width_of_a_grid_beats_the_fitted_one(levels: int, seed: int) -> None:
    data, reconstruction = noisy(seed, 50, 0.08 * levels, levels)

    width = fitted_width(data, reconstruction, levels)

    grid = torch.linspace(math.log(0.05), math.log(levels), 300).exp().tolist()
    best = min(float(residual_bits(data, reconstruction, levels, other).mean()) for other in grid)
    assert float(residual_bits(data, reconstruction, levels, width).mean()) <= best * (1 + 1e-9)


@pytest.mark.parametrize("width", [0.3, 1.0, 4.0])
def test_a_known_width_is_recovered(width: float) -> None:
    """20,000 elements: the relative standard error is 0.8 % at width 0.3, less above; 6 % is over 7 of it."""
    data, reconstruction = noisy(4, 5000, width, 256)

    result = fitted_width(data, reconstruction, 256)

    assert result == pytest.approx(width, rel=0.06)


def test_perfect_reconstructions_take_the_least_width() -> None:
    data, _ = noisy(5, 20, 1.0, 17)

    width = fitted_width(data, data, 17)

    assert float(residual_bits(data, data, 17, width).max()) < 1e-3


def test_ids_cost_the_nats_of_the_prior_in_bits() -> None:
    given_nats = torch.full((30,), 3 * math.log(2))

    number = measured(CodeLength().build(), evidence(id_nats=given_nats))["id_code_length_bits"]

    assert number.value == pytest.approx(3, rel=1e-6)
    assert number.unit == "bits"


def test_the_code_is_ids_and_rest_of_each_sample_with_a_width_from_training_data() -> None:
    given = evidence()

    number = measured(CodeLength().build(), given)["two_part_code_length_bits"]

    width = fitted_width(given.train, given.train_reconstructed, 17)
    bits = given.id_nats.double() / math.log(2) + residual_bits(given.real, given.reconstructed, 17, width)
    assert number.value == pytest.approx(float(bits.mean()), rel=1e-12)


def test_the_interval_is_students_over_samples() -> None:
    nats = torch.tensor([1.0, 2, 3, 4, 5]).repeat(6) * math.log(2)

    number = measured(CodeLength().build(), evidence(id_nats=nats))["id_code_length_bits"]

    half = 2.0452296 * math.sqrt(60 / 29) / math.sqrt(30)  # 0.975 quantile of t with 29 degrees of freedom, from tables
    assert (number.low, number.high) == pytest.approx((3 - half, 3 + half), rel=1e-6)
    assert number.n == 30


def test_one_sample_has_no_interval() -> None:
    given = evidence()
    one = given._replace(
        real=given.real[:1], reconstructed=given.reconstructed[:1], ids=given.ids[:1], id_nats=given.id_nats[:1]
    )

    number = measured(CodeLength().build(), one)["two_part_code_length_bits"]

    assert (number.low, number.high) == (None, None)


def test_the_nominal_rate_is_the_length_times_the_bits_of_an_id() -> None:
    numbers = measured(CodeLength().build(), evidence())

    assert numbers["nominal_rate_bits"].value == 3 * 3


def test_the_unigram_entropy_is_of_the_ids_that_are_there() -> None:
    ids = torch.tensor([[0, 1, 4], [0, 2, -1], [0, -1, -1], [0, 3, -1]])
    given = evidence()
    few = given._replace(real=given.real[:4], reconstructed=given.reconstructed[:4], id_nats=given.id_nats[:4], ids=ids)

    number = measured(CodeLength().build(), few)["unigram_entropy_bits"]

    assert number.value == pytest.approx(8 / 4 * (0.5 * 1 + 4 * 0.125 * 3))


def test_the_code_bounds_what_the_data_costs_when_everything_is_summed() -> None:
    """All nine images of two elements of three levels, one id each: the masses of the code sum to at most 1."""
    images = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 2)
    ids = (images.sum(1) > 0).long()
    reconstructed = torch.tensor([[-0.4, -0.4], [0.7, 0.7]])[ids]
    prior = torch.tensor([0.7, 0.3])
    given = evidence(
        train=images, train_reconstructed=reconstructed, real=images, reconstructed=reconstructed, generated=images,
        ids=ids[:, None], id_nats=-prior.log()[ids], vocabulary=2, levels=3,
    )  # fmt: skip

    numbers = measured(CodeLength().build(), given)

    width = fitted_width(images, reconstructed, 3)
    bits = given.id_nats / math.log(2) + residual_bits(images, reconstructed, 3, width)
    assert float(bits.mean()) == pytest.approx(numbers["two_part_code_length_bits"].value, rel=1e-6)
    assert float(torch.exp2(-bits).sum()) <= 1
    assert numbers["two_part_code_length_bits"].value >= math.log2(9)


def test_data_without_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="code-length: expected data with levels"):
        measured(CodeLength().build(), evidence(levels=None))


@pytest.mark.parametrize("value", [0.06, 1.125, -1.125, math.nan])
def test_data_off_its_levels_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="expected data on 17 levels from -1 to 1"):
        measured(CodeLength().build(), evidence(real=torch.full((30, 4), value)))


@pytest.mark.parametrize("levels", [17, 256, 65536])
def test_levels_rounded_to_single_precision_are_on_their_levels(levels: int) -> None:
    data = (torch.arange(levels) / ((levels - 1) / 2) - 1)[:, None]

    bits = residual_bits(data, data, levels, 0.2)

    assert float(bits.max()) < 0.05


def test_reconstructions_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="expected finite reconstructions"):
        measured(CodeLength().build(), evidence(reconstructed=torch.full((30, 4), math.nan)))


def test_equally_many_ids_of_each_sort_have_the_entropy_of_their_number() -> None:
    assert entropy_nats(torch.tensor([2, 0, 2, 0, 2])) == pytest.approx(math.log(3), rel=1e-12)


def test_one_sort_of_id_has_no_entropy() -> None:
    assert entropy_nats(torch.tensor([0, 2])) == 0


def test_the_width_is_fitted_to_a_bounded_number_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_length, "FITTED", 4 * 25 + 3)
    metric, seen = CodeLength().build(), list[int]()
    train = evidence().fitting()
    data = train.data

    metric.fit(train._replace(data=lambda rows: seen.extend(rows.tolist()) or data(rows)))

    chosen = seen[2:]  # after the sizes of the first, and of the first of these
    assert len(set(chosen)) == len(chosen) == 25
    assert chosen == sorted(chosen)
    assert max(chosen) >= 25  # not the first ones


def test_a_width_of_batches_is_that_of_the_whole() -> None:
    data, reconstruction = noisy(6, 700, 2.0, 17)  # three batches

    width = fitted_width(data, reconstruction, 17)

    cost = [float(residual_bits(data, reconstruction, 17, each).mean()) for each in (width, width * 1.01, width / 1.01)]
    assert cost[0] == min(cost)


@pytest.mark.parametrize("batches", [[torch.arange(29)], [torch.arange(30), torch.tensor([3])]], ids=["few", "twice"])
def test_samples_that_do_not_come_once_are_refused(batches: list[Tensor]) -> None:
    with pytest.raises(ValueError, match=r"code-length: expected every sample once, got (29|31) of 30"):
        measured(CodeLength().build(), evidence(), batches)


def test_reconstructions_of_another_shape_are_refused_though_they_could_be_repeated() -> None:
    with pytest.raises(ValueError, match=r"expected reconstructions of shape \(30, 4\), as .* got \(30, 1\)"):
        measured(CodeLength().build(), evidence(reconstructed=torch.zeros(30, 1)))


@pytest.mark.parametrize("wrong", [-2, 8])
def test_ids_beyond_the_vocabulary_are_refused(wrong: int) -> None:
    ids = torch.zeros(30, 3, dtype=torch.int64)
    ids[7, 2] = wrong

    with pytest.raises(ValueError, match="code-length: expected ids below 8, or -1 where absent, got some from"):
        measured(CodeLength().build(), evidence(ids=ids))


def test_nats_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="code-length: expected finite nats of the ids"):
        measured(CodeLength().build(), evidence(id_nats=torch.full((30,), math.nan)))


def test_absent_ids_have_no_entropy() -> None:
    numbers = measured(CodeLength().build(), evidence(ids=torch.full((30, 3), -1), id_nats=torch.zeros(30)))

    assert numbers["unigram_entropy_bits"].value == 0
