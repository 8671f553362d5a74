"""The laws of metrics, each with an offender that breaks it."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import safetensors.torch
import torch
from hypothesis import strategies as st
from torch import Tensor

from crt_laws.checks import check, equal
from crt_laws.kit import Bench, Checks, Offender, law, laws_in
from crt_laws.laws import metric_offenders as plants
from crt_laws.laws.metric_cases import Samples, images, measured
from crt_laws.laws.metric_offenders import planted
from crtcore.kinds import Measurement, Metric, MetricSpec

SIDE, HELD_OUT, TRAIN = 8, 160, 192
"""Samples of a case; more than the 64 elements of an image, so that covariances are regular."""
MOST = 12_288
"""Samples after which the state of a metric may not grow: more than any that keeps some of them may keep."""
NEAR = 1e-8
"""Relative tolerance, and absolute for numbers about 1: a root of a covariance costs some digits."""


@attrs.frozen
class Division:
    """Samples drawn by a seed, and the sizes of the first batches; the rest is the last one."""

    seed: int
    sizes: tuple[int, ...]

    @property
    def samples(self) -> Samples:
        """The samples."""
        return images(self.seed, HELD_OUT, TRAIN, SIDE)

    @property
    def generator(self) -> torch.Generator:
        """A source of random numbers."""
        return torch.Generator().manual_seed(self.seed)

    @property
    def batches(self) -> Sequence[Tensor]:
        """The row numbers of each batch."""
        ends = torch.tensor(self.sizes).cumsum(0).tolist()
        return [rows for rows in torch.arange(HELD_OUT).tensor_split(ends) if len(rows)]


DIVISIONS = st.builds(Division, st.integers(0, 2**32), st.lists(st.integers(1, 40), min_size=1, max_size=6).map(tuple))


def subject(spec: MetricSpec) -> Metric:
    """The metric; laws use copies of it."""
    with TemporaryDirectory() as folder:
        return spec.example_in(Path(folder)).build()


def of(metric: Metric, samples: Samples, batches: Sequence[Tensor] | None = None) -> dict[str, Measurement]:
    """The numbers of a fresh copy."""
    return measured(copy.deepcopy(metric), samples, batches)


def alike(numbers: Mapping[str, Measurement], others: Mapping[str, Measurement], what: str) -> Checks:
    """Checks that two sets of numbers agree but for rounding."""
    yield equal(set(numbers), set(others), f"the set of names {what}")
    for name, number in numbers.items():
        other = others[name]
        yield equal((number.unit, number.n), (other.unit, other.n), f"unit and samples of {name} {what}")
        for one, two in zip(ends(number), ends(other), strict=True):
            yield check(math.isclose(one, two, rel_tol=NEAR, abs_tol=NEAR), f"{name} {what} is {one}, otherwise {two}")


def ends(number: Measurement) -> tuple[float, float, float]:
    """The value and the interval of a number, which is the value where there is none."""
    value, low, high = number.value, number.low, number.high
    return value, value if low is None else low, value if high is None else high


@law("metric", division=DIVISIONS)
def sizes_of_batches_do_not_matter(metric: Metric, division: Division) -> Checks:
    """Samples in batches of any sizes give the numbers of one batch, up to rounding."""
    whole = of(metric, division.samples)

    yield from alike(of(metric, division.samples, division.batches), whole, "in batches")


@law("metric", division=DIVISIONS)
def the_order_of_batches_does_not_matter(metric: Metric, division: Division) -> Checks:
    """Batches in reverse order give the same numbers, up to rounding."""
    forth, back = division.batches, division.batches[::-1]

    yield from alike(of(metric, division.samples, back), of(metric, division.samples, forth), "in reverse")


@law("metric", division=DIVISIONS)
def partials_of_any_split_make_the_whole(metric: Metric, division: Division) -> Checks:
    """Partials of metrics that took a batch each, and of one that took none, merged in any order, are one metric's."""
    samples, fitted = division.samples, copy.deepcopy(metric)
    fitted.fit(samples.fitting())
    whole = copy.deepcopy(fitted)
    for rows in division.batches:
        whole.update(samples.batch(rows))
    yield equal(joined(whole), joined(whole), "the second partial")
    numbers = whole.compute()

    partials = [kept_of(fitted, samples, rows) for rows in (*division.batches, torch.arange(0))]
    for order in (range(len(partials)), torch.randperm(len(partials), generator=division.generator).tolist()):
        own = copy.deepcopy(fitted)
        for place in order:
            own.merge(safetensors.torch.load(partials[place]))
        yield from alike(own.compute(), numbers, "of partials")


def kept_of(fitted: Metric, samples: Samples, rows: Tensor) -> bytes:
    """The partial of a copy that took the samples `rows`, as a file has it."""
    own = copy.deepcopy(fitted)
    if len(rows):
        own.update(samples.batch(rows))
    return joined(own)


def joined(metric: Metric) -> bytes:
    """The partial of a metric, as a file has it."""
    return safetensors.torch.save({name: each.contiguous() for name, each in metric.partial().items()})


@law("metric", division=DIVISIONS)
def computing_changes_nothing(metric: Metric, division: Division) -> Checks:
    """Computing a second time gives the same numbers, bit for bit."""
    own = copy.deepcopy(metric)
    numbers = measured(own, division.samples)

    yield equal(own.compute(), numbers, "the second result")


@law("metric", division=DIVISIONS, seeds=st.tuples(st.integers(0, 99), st.integers(100, 199)))
def the_same_samples_give_the_same_numbers(metric: Metric, division: Division, seeds: tuple[int, int]) -> Checks:
    """Two copies with the same samples in the same batches return the same numbers, bit for bit, under any seed."""
    numbers = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            numbers.append(of(metric, division.samples, division.batches))

    yield equal(numbers[1], numbers[0], "what another copy returns under another global seed")


@law("metric", division=DIVISIONS)
def samples_stay_as_they_are(metric: Metric, division: Division) -> Checks:
    """Fitting and updating write into no sample: other metrics see the same ones."""
    own, samples = copy.deepcopy(metric), division.samples
    measured(own, samples, [torch.arange(HELD_OUT)])
    batch = samples.batch(torch.arange(HELD_OUT))
    before = [part.clone() for part in batch]
    own.update(batch)

    for name, part, was in zip(batch._fields, batch, before, strict=True):
        yield check(torch.equal(part, was), f"other values of {name} after an update")
    for name in ("train", "train_reconstructed"):
        unchanged = torch.equal(getattr(samples, name), getattr(division.samples, name))
        yield check(unchanged, f"other values of {name} after a fit")


@law("metric", division=DIVISIONS)
def a_fit_starts_anew(metric: Metric, division: Division) -> Checks:
    """Numbers do not depend on what a metric was fitted on and updated with before."""
    own, other = copy.deepcopy(metric), images(division.seed + 1, HELD_OUT + 1, TRAIN + 1, SIDE)
    measured(own, other)

    yield from alike(measured(own, division.samples), of(metric, division.samples), "after another fit")


@law("metric", division=DIVISIONS)
def numbers_are_finite_and_in_their_intervals(metric: Metric, division: Division) -> Checks:
    """Each number is finite, has a unit and samples, and is in its interval, if it has one."""
    for name, number in of(metric, division.samples).items():
        yield check(math.isfinite(number.value), f"{name} = {number.value}")
        yield check(bool(number.unit) and number.n > 0, f"{name} in {number.unit!r} of {number.n} samples")
        value, low, high = ends(number)
        yield check(low <= value <= high, f"{name} = {value} in an interval from {low} to {high}")


@law("metric")
def the_state_does_not_grow_with_samples(metric: Metric) -> Checks:
    """A metric, pickled, is no larger after 16,384 samples than after 12,288, to 1 kB."""
    sizes = []
    for count in (MOST, MOST * 4 // 3):
        own, samples = copy.deepcopy(metric), images(0, count, count, 5)
        own.fit(samples.fitting())
        for rows in torch.split(torch.arange(count), 1024):
            own.update(samples.batch(rows))
        sizes.append(len(pickle.dumps(own)))

    yield check(sizes[1] <= sizes[0] + 1000, f"{sizes[0]:,} bytes, then {sizes[1]:,}")


LAWS = laws_in(globals())


OFFENDERS = (
    Offender(sizes_of_batches_do_not_matter, planted(plants.MeanOfMeans)),
    Offender(
        the_order_of_batches_does_not_matter,
        planted(plants.FirstComers),
        also=frozenset({partials_of_any_split_make_the_whole.name}),
    ),
    Offender(partials_of_any_split_make_the_whole, planted(plants.LastOne)),
    Offender(computing_changes_nothing, planted(plants.Counting)),
    Offender(the_same_samples_give_the_same_numbers, planted(plants.Jittery)),
    Offender(samples_stay_as_they_are, planted(plants.Writing)),
    Offender(a_fit_starts_anew, planted(plants.Continuing)),
    Offender(numbers_are_finite_and_in_their_intervals, planted(plants.OutOfInterval)),
    Offender(the_state_does_not_grow_with_samples, planted(plants.Hoarding)),
)

BENCH = Bench("metric", subject, LAWS, OFFENDERS)
