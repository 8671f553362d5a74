"""The laws of experiments: killed anywhere they end with the same bits, asked to stop they stop, and numbers are whole.

Each runs the experiment on a small plan (`experiment_cases.trial`): six steps of each stage, a few samples.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from crt_laws.checks import check, equal
from crt_laws.kit import Bench, Checks, Offender, Where, law, laws_in
from crt_laws.laws import experiment_offenders as plants
from crt_laws.laws.experiment_cases import Killed, Outcome, Trial, ends, trial
from crt_laws.laws.experiment_offenders import planted
from crtcore.kinds import Findings, Measurement

QUARTERS = (1, 2, 3)
"""Where a run is interrupted, in quarters of all moments at which it could be."""
TRAINS = Where(lambda trial: bool(trial.declared), "it trains nothing")


def findings_of(outcome: Outcome) -> Findings:
    """The findings of a run.

    Raises: ValueError if it stopped.
    """
    if outcome.findings is None:
        raise ValueError("expected findings, got Stopped, which nobody asked for")
    return outcome.findings


def numbers_of(findings: Findings) -> Iterator[tuple[str, Measurement]]:
    """Every number and its name, those of points included."""
    yield from findings.numbers.items()
    for row in findings.points:
        yield from row.numbers.items()


def alike(trial: Trial, outcome: Outcome, what: str) -> Checks:
    """Checks that a run has the weights and the numbers of one that nothing interrupts, bit for bit."""
    numbers, expected = (trial.lasting(findings_of(each)) for each in (outcome, trial.whole))

    yield equal(outcome.weights, trial.whole.weights, f"final weights, by the hash of their bytes, {what}")
    yield equal(set(numbers), set(expected), f"the set of numbers {what}")
    for place, number in numbers.items():
        yield equal(number, expected[place], f"{place} {what}")


@law("experiment")
def killed_anywhere_it_ends_with_the_same_bits(trial: Trial) -> Checks:
    """Killed at any moment and called again, it ends with the weights and numbers of a run that nothing interrupts."""
    for moment in sorted({max(1, trial.whole.moments * quarter // 4) for quarter in QUARTERS}):
        with TemporaryDirectory() as runs:
            with contextlib.suppress(Killed):
                trial.run(Path(runs), kill=moment)

            yield from alike(trial, trial.run(Path(runs)), f"once it was killed at moment {moment} and called again")


@law("experiment")
def another_run_ends_with_the_same_bits(trial: Trial) -> Checks:
    """In another folder, under another global seed, it ends with the same weights and numbers."""
    with TemporaryDirectory() as runs:
        yield from alike(trial, trial.run(Path(runs), seed=1), "in another folder, under another global seed")


@law("experiment", where=TRAINS)
def asked_to_stop_it_stops(trial: Trial) -> Checks:
    """Once `run.stopping` is true it raises Stopped; it asks while it trains."""
    for moment in (1, max(1, trial.whole.moments // 2)):
        with TemporaryDirectory() as runs:
            outcome = trial.run(Path(runs), stop=moment)

        stopped = outcome.findings is None
        yield check(stopped or (moment > 1 and not outcome.asked), f"findings, asked to stop from moment {moment} on")


@law("experiment")
def numbers_are_finite_and_in_their_intervals(trial: Trial) -> Checks:
    """There is a number; each is finite, has a unit and samples, and is in its interval, if it has one."""
    numbers = list(numbers_of(findings_of(trial.whole)))

    yield check(bool(numbers), "no number")
    for name, number in numbers:
        yield check(math.isfinite(number.value), f"{name} = {number.value}")
        yield check(bool(number.unit) and number.n > 0, f"{name} in {number.unit!r} of {number.n} samples")
        value, low, high = ends(number)
        yield check(low <= value <= high, f"{name} = {value} in an interval from {low} to {high}")


@law("experiment")
def points_have_labels_of_their_own(trial: Trial) -> Checks:
    """All points have labels of the same names, and no two of them the same labels."""
    labels = [tuple(sorted(row.labels.items())) for row in findings_of(trial.whole).points]

    names = {tuple(name for name, _ in each) for each in labels}
    yield check(len(names) <= 1, f"labels of the names {sorted(names)}")
    twice = sorted(each for each in set(labels) if labels.count(each) > 1)
    yield check(not twice, f"two points with the labels {twice[:1]}")


@law("experiment")
def figures_draw_numbers_that_it_leaves(trial: Trial) -> Checks:
    """All names in its figures are labels or numbers of its points, and all of its trade-offs are numbers of it."""
    findings = findings_of(trial.whole)
    labels = {"arm", *(name for row in findings.points for name in row.labels)}
    measured = {name for row in findings.points for name in row.numbers}

    yield check(all(figure.numbers for figure in trial.figures), "a figure without numbers")
    for figure in trial.figures if findings.points else ():  # none where a setting leaves nothing to vary
        unknown = {figure.lines, *figure.columns, *filter(None, [figure.along])} - labels
        unknown |= {*figure.numbers, *figure.references} - measured
        unknown |= {figure.across} - (measured if figure.along else labels)
        yield check(not unknown, f"a figure of {sorted(unknown)}, which no point has")
    for drawn in trial.trade_offs:
        missing = {drawn.across, drawn.up, *filter(None, [drawn.floor])} - set(findings.numbers)
        yield check(not missing, f"a trade-off of {sorted(missing)}, which it does not leave")


@law("experiment")
def it_trains_the_stages_that_it_plans(trial: Trial) -> Checks:
    """It opens every stage that its spec plans, and no other; a stage with a label has a planned name before it."""
    opened = trial.whole.stages

    for name in opened:
        planned = any(name == each or name.startswith(f"{each}-") for each in trial.declared)
        yield check(planned, f"a stage {name!r}, planned are {trial.declared}")
    unheard = [name for name in trial.declared if not any(f"{each}-".startswith(f"{name}-") for each in opened)]
    yield equal(unheard, [], "the list of stages that it plans and does not open")


@law("experiment")
def outcomes_are_of_numbers_and_samples(trial: Trial) -> Checks:
    """Each outcome is that of a number, has a value for each held-out sample, as many as the others, and is finite."""
    findings = findings_of(trial.whole)

    yield equal(sorted(set(findings.outcomes) - set(findings.numbers)), [], "the list of outcomes without a number")
    yield check(len({len(values) for values in findings.outcomes.values()}) <= 1, "outcomes of different lengths")
    for name, values in findings.outcomes.items():
        yield check(all(map(math.isfinite, values)), f"an outcome {name} that is not finite")


LAWS = laws_in(globals())

OFFENDERS = (
    Offender(killed_anywhere_it_ends_with_the_same_bits, planted(plants.counting_calls)),
    Offender(another_run_ends_with_the_same_bits, planted(plants.at_random)),
    Offender(asked_to_stop_it_stops, planted(plants.deaf)),
    Offender(numbers_are_finite_and_in_their_intervals, planted(plants.not_finite)),
    Offender(points_have_labels_of_their_own, planted(plants.one_point_twice)),
    Offender(figures_draw_numbers_that_it_leaves, plants.misspelt_figure),
    Offender(it_trains_the_stages_that_it_plans, plants.a_stage_too_many),
    Offender(outcomes_are_of_numbers_and_samples, planted(plants.outcome_of_nothing)),
)

BENCH = Bench("experiment", trial, LAWS, OFFENDERS)
