"""The Fréchet distance: closed forms, an independent formula, whitening, and equal numbers of samples everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from torch import Tensor

from crt_basics.metrics import frechet
from crt_basics.metrics.compared import FLOORS, floors
from crt_basics.metrics.frechet import Gaussian, distance, frechet_distance
from crt_basics.metrics.specs import Frechet
from crt_basics.metrics.whitened import whitened
from crt_laws import Samples, measured

SEEDS = st.integers(0, 2**32)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def turned(seed: int, size: int) -> Tensor:
    """An orthogonal matrix."""
    turn: Tensor = torch.linalg.qr(normal(seed, size, size)).Q
    return turn


def fitted(seed: int, root: Tensor, mean: Tensor | float = 0.0) -> Tensor:
    """Samples whose own mean is `mean` and whose own covariance is `root @ root.T`, exactly but for rounding."""
    raw = normal(seed, 50, len(root))
    white: Tensor = torch.linalg.qr(raw - raw.mean(0)).Q * math.sqrt(49)
    return white @ root.T + mean


def evidence(**changes: Tensor) -> Samples:
    ids = torch.zeros(40, 1, dtype=torch.int64)
    parts = {
        name: normal(seed, count, 1, 2, 3)
        for seed, (name, count) in enumerate({"train": 90, "real": 40, "reconstructed": 40, "generated": 40}.items())
    } | changes
    return Samples(
        **parts, train_reconstructed=parts["train"], ids=ids, id_nats=torch.zeros(40), vocabulary=2, levels=None
    )


def test_in_one_dimension_it_is_the_gap_of_means_and_of_deviations() -> None:
    one, other = fitted(0, torch.tensor([[3.0]]).double(), 1.0), fitted(1, torch.tensor([[0.5]]).double(), -1.0)

    distance = frechet_distance(one, other)

    assert distance == pytest.approx((1 - -1) ** 2 + (3 - 0.5) ** 2, abs=1e-12)


@pytest.mark.parametrize("turn", [torch.eye(4).double(), turned(7, 4)], ids=["diagonal", "rotated"])
def test_with_common_axes_it_is_a_sum_over_them(turn: Tensor) -> None:
    left, right = torch.tensor([[1.0, 2, 3, 0.25], [2.0, 2, 0.5, 7]]).double()
    gap = torch.tensor([1.0, -2, 0, 0.5]).double()

    distance = frechet_distance(fitted(0, turn * left), fitted(1, turn * right, gap))

    assert distance == pytest.approx(5.25 + 1 + 0 + 2.5**2 + 6.75**2, abs=1e-11)


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_in_two_dimensions_it_follows_trace_and_determinant(seed: int) -> None:
    left, right = normal(seed, 2, 2, 2)

    distance = frechet_distance(fitted(0, left), fitted(1, right))

    product = left @ left.T @ right @ right.T
    cross = (product.trace() + 2 * product.det().clamp(min=0).sqrt()).sqrt()
    assert distance == pytest.approx(float(left.square().sum() + right.square().sum() - 2 * cross), abs=1e-7)


def test_to_a_single_point_it_is_the_variance_and_the_gap() -> None:
    point = torch.ones(9, 3).double()

    distance = frechet_distance(point, fitted(1, torch.diag(torch.tensor([1.0, 2, 3])).double(), 3.0))

    assert distance == pytest.approx(1 + 4 + 9 + 3 * 2**2, abs=1e-12)


def test_of_two_segments_it_follows_the_angle_between_them() -> None:
    along, across = torch.zeros(2, 3, 3).double()
    along[:, 0] = torch.tensor([2.0, 0, 0])
    across[:, 0] = torch.tensor([3.0, 4, 0])

    distance = frechet_distance(fitted(0, along), fitted(1, across))

    assert distance == pytest.approx(4 + 25 - 2 * 2 * 5 * 3 / 5, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(1, 8))
def test_it_agrees_with_the_matrix_square_root(seed: int, size: int) -> None:
    one, other = normal(seed, 60, size), normal(seed + 1, 40, size) @ normal(seed + 2, size, size) + 1

    distance = frechet_distance(one, other)

    left, right = np.cov(one.numpy().T).reshape(size, size), np.cov(other.numpy().T).reshape(size, size)
    gap = one.numpy().mean(0) - other.numpy().mean(0)
    reference = gap @ gap + np.trace(left + right - 2 * np.real(sqrtm(left @ right)))
    assert distance == pytest.approx(reference, rel=1e-8, abs=1e-8)


@settings(deadline=None, max_examples=25)
@given(SEEDS)
def test_it_is_symmetric_and_unmoved_by_a_common_rotation_and_shift(seed: int) -> None:
    one, other = normal(seed, 30, 5), 2 * normal(seed + 1, 40, 5) + 1
    turn = turned(seed, 5)

    distance = frechet_distance(one, other)

    assert frechet_distance(other, one) == pytest.approx(distance, rel=1e-12)
    assert frechet_distance(one @ turn + 3, other @ turn + 3) == pytest.approx(distance, rel=1e-10)


@pytest.mark.parametrize("count", [2, 4, 200], ids=["singular", "still singular", "regular"])
def test_equal_collections_are_at_distance_zero(count: int) -> None:
    data = normal(0, count, 6)

    distance = frechet_distance(data, data.flip(0))

    assert 0 <= distance < 1e-12


def test_every_distance_is_of_equally_many_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def spy(one: Gaussian, other: Gaussian) -> float:
        seen.append((one.count, other.count))
        return 1.0

    monkeypatch.setattr(frechet, "distance", spy)

    numbers = measured(Frechet(dimensions=3).build(), evidence())

    assert seen == [(40, 40)] * (2 + FLOORS)
    assert [number.n for number in numbers.values()] == [40] * 3


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(1, 60), st.integers(1, 8))
def test_gaussians_of_batches_are_at_the_distance_of_the_whole(seed: int, size: int, dimensions: int) -> None:
    one, other = normal(seed, 60, dimensions) + 1e3, 2 * normal(seed + 1, 60, dimensions)
    left, right = Gaussian(), Gaussian()

    for gaussian, data in ((left, one), (right, other)):
        for batch in torch.split(data, size):
            gaussian.update(batch)

    assert distance(left, right) == pytest.approx(frechet_distance(one, other), rel=1e-10)


def test_numbers_of_batches_are_those_of_whole_collections() -> None:
    """As computed until metrics took batches: features of everything, and floors from an order of noise."""
    given_samples = evidence()
    train = given_samples.fitting()
    features = whitened(train, 4)
    known = features(given_samples.train)
    real, made = features(given_samples.real), features(given_samples.generated)

    numbers = measured(Frechet(dimensions=4).build(), given_samples, torch.arange(40).split(7))

    floor = sum(frechet_distance(real, known[rows]) for rows in floors(train)) / FLOORS
    assert numbers["generation_frechet"].value == pytest.approx(frechet_distance(real, made), rel=1e-10)
    assert numbers["frechet_floor"].value == pytest.approx(floor, rel=1e-10)


def test_the_floor_is_of_training_samples_alone() -> None:
    far = evidence(real=normal(1, 40, 1, 2, 3) + 100)

    numbers = measured(Frechet(dimensions=6).build(), far)

    features = whitened(far.fitting(), 6)
    moved = features(torch.full((1, 1, 2, 3), 100.0)) - features(torch.zeros(1, 1, 2, 3))
    assert numbers["frechet_floor"].value == pytest.approx(float(moved.square().sum()), rel=0.05)


def test_the_floor_is_the_same_for_every_arm() -> None:
    metric = Frechet(dimensions=4).build()

    one, other = (
        measured(metric, evidence()),
        measured(metric, evidence(reconstructed=normal(8, 40, 1, 2, 3), generated=torch.zeros(40, 1, 2, 3))),
    )

    assert one["frechet_floor"] == other["frechet_floor"]
    assert one["generation_frechet"] != other["generation_frechet"]


def test_perfect_reconstructions_reach_zero_and_perfect_draws_the_floor() -> None:
    """400 trials: the mean gap is within 6 standard errors of 0, but for one in 1e7 false alarms.

    The whitening fits the 2,000 training samples a little, which is worth less than one standard error.
    """
    metric = Frechet(dimensions=6).build()
    gaps = []
    for trial in range(400):
        train, real, generated = torch.split(normal(1000 + trial, 2080, 1, 2, 3), [2000, 40, 40])
        numbers = measured(metric, evidence(train=train, real=real, reconstructed=real, generated=generated))
        assert numbers["reconstruction_frechet"].value < 1e-12
        gaps.append(numbers["generation_frechet"].value - numbers["frechet_floor"].value)

    result = torch.tensor(gaps)
    assert abs(float(result.mean())) < 6 * float(result.std()) / 400**0.5


def test_too_few_held_out_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 41 held-out samples and as many training samples"):
        measured(Frechet(dimensions=40).build(), evidence())


def test_fewer_training_than_held_out_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="got 40 and 39"):
        measured(Frechet(dimensions=2).build(), evidence(train=normal(0, 39, 1, 2, 3)))


def test_more_dimensions_than_the_data_has_are_refused() -> None:
    flat = normal(0, 90, 1, 2, 3)
    flat[..., 0] = 1

    with pytest.raises(ValueError, match="expected at most 4 dimensions for this data, got 5"):
        measured(Frechet(dimensions=5).build(), evidence(train=flat))


def test_another_number_of_draws_is_refused() -> None:
    metric, samples = Frechet(dimensions=2).build(), evidence()
    metric.fit(samples.fitting())
    batch = samples.batch(torch.arange(40))

    with pytest.raises(ValueError, match=r"expected the shape \(40, 1, 2, 3\) .* for generation, got \(39, 1, 2, 3\)"):
        metric.update(batch._replace(generated=batch.generated[:39]))


def test_fewer_samples_than_were_announced_are_refused() -> None:
    with pytest.raises(ValueError, match="frechet: expected every sample once, got 39 of 40"):
        measured(Frechet(dimensions=2).build(), evidence(), [torch.arange(39)])


def test_a_sample_that_comes_in_place_of_another_is_refused() -> None:
    with pytest.raises(ValueError, match="frechet: expected every sample once, got 40 of 40, some of them twice"):
        measured(Frechet(dimensions=2).build(), evidence(), [torch.arange(39), torch.tensor([0])])


def test_samples_of_another_shape_are_refused_though_they_have_as_many_elements() -> None:
    with pytest.raises(ValueError, match=r"expected the shape \(40, 1, 2, 3\) .* generation, got \(40, 1, 3, 2\)"):
        measured(Frechet(dimensions=2).build(), evidence(generated=normal(3, 40, 1, 3, 2)))


@pytest.mark.parametrize("sort", ["train", "real"])
def test_data_that_are_not_finite_are_refused(sort: str) -> None:
    data = normal(0, 90 if sort == "train" else 40, 1, 2, 3)
    data[5, 0, 1, 1] = torch.inf

    with pytest.raises(ValueError, match=r"expected finite (training data|samples for real), got some that are not"):
        measured(Frechet(dimensions=2).build(), evidence(**{sort: data}))


def test_rounding_makes_no_distance_negative() -> None:
    """Of equal collections, turned: some of the 200 differences of terms round below 0."""
    below = 0
    for seed in range(200):
        data = normal(seed, 30, 5)
        left, right = Gaussian(), Gaussian()
        left.update(data)
        right.update(data.flip(0))
        roots = [each.root / 29**0.5 for each in (left, right)]
        terms = sum(float(root.square().sum()) for root in roots)
        below += terms < 2 * float(torch.linalg.matrix_norm(roots[0] @ roots[1].T, "nuc"))
        assert distance(left, right) >= 0
    assert below > 0


def test_draws_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="expected finite samples for generation"):
        measured(Frechet(dimensions=2).build(), evidence(generated=torch.full((40, 1, 2, 3), torch.nan)))
