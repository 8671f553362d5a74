"""Studies: intervals, pairs, claims and verdicts, and points that fail alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crt_run.present.tables import verdicts
from crt_run.runs.numbers import written
from crt_run.runs.records import seal
from crt_run.runs.run import address
from crt_run.statistics import interval, paired
from crt_run.sweeps import sweep
from crt_run.sweeps.summary import claims, gather, summary, verdict
from crt_run.sweeps.sweep import Finished, failed, run
from crtcore.compose.study import Study
from crtcore.errors import RunError
from crtcore.kinds import Done, Measurement

Describe = Callable[..., Study]
NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
ARMS = ("sweep.arms={baseline = {}, other = {'prior.order' = 0}}",)


def silent(index: int, event: Any) -> None:
    """Takes events."""


# Statistics


@given(st.lists(NUMBERS, min_size=2, max_size=12))
def test_an_interval_is_scipy_s(values: list[float]) -> None:
    result = interval(values, "nats")

    mean, error = np.mean(values), stats.sem(values)
    low, high = stats.t.interval(0.95, len(values) - 1, mean, error) if error else (mean, mean)
    scale = max(1.0, *map(abs, values))
    assert [result.value, result.low, result.high] == pytest.approx([mean, low, high], abs=1e-9 * scale)
    assert (result.n, result.unit) == (len(values), "nats")


def test_an_interval_by_hand() -> None:
    # mean 2, standard deviation 1, t of 2 degrees of freedom 4.302653
    value, unit, seeds, *ends = interval([1.0, 2.0, 3.0], "nats")

    assert (value, unit, seeds) == (2.0, "nats", 3)
    assert ends == pytest.approx([2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5])


def test_one_seed_has_no_interval() -> None:
    assert interval([3.0], "nats") == Measurement(3.0, "nats", 1)


@given(st.dictionaries(st.integers(0, 9), NUMBERS), st.dictionaries(st.integers(0, 9), NUMBERS))
def test_pairs_are_taken_over_the_seeds_both_have(values: dict[int, float], others: dict[int, float]) -> None:
    shared = sorted(values.keys() & others.keys())

    result = paired(values, others, "nats")

    if not shared:
        assert result is None
        return
    assert result is not None
    assert (result["n"], result["unit"]) == (len(shared), "nats")
    assert result["value"] == pytest.approx(sum(values[seed] - others[seed] for seed in shared) / len(shared), abs=1e-6)
    assert ("low" in result, "high" in result) == (len(shared) > 1,) * 2


def test_a_paired_difference_is_that_of_a_paired_t_test() -> None:
    values, others = {1: 3.0, 2: 5.0, 3: 4.5, 4: 9.0}, {4: 8.0, 3: 4.0, 2: 5.5, 1: 1.0, 7: 100.0}

    result = paired(values, others, "nats")

    expected = stats.ttest_rel([3.0, 5.0, 4.5, 9.0], [1.0, 5.5, 4.0, 8.0]).confidence_interval(0.95)
    assert result is not None
    assert (result["low"], result["high"]) == pytest.approx((expected.low, expected.high))
    assert (result["value"], result["n"], result["same_sign"]) == (0.75, 4, 3)


@pytest.mark.parametrize(
    ("low", "high", "lower", "higher"),
    [
        (-3.0, -1.0, "holds", "does not hold: the difference goes the other way"),
        (1.0, 3.0, "does not hold: the difference goes the other way", "holds"),
        (-1.0, 3.0, *["does not hold: the interval has 0 inside"] * 2),
        (0.0, 3.0, *["does not hold: the interval has 0 inside"] * 2),
        (None, None, *["not shown: one seed has no interval"] * 2),
    ],
)
def test_a_verdict_follows_from_the_interval(low: Any, high: Any, lower: str, higher: str) -> None:
    difference = written(Measurement(1.0, "nats", 3, low, high))

    assert [verdict("lower", difference), verdict("higher", difference)] == [lower, higher]


def test_a_claim_that_holds_alone_need_not_hold_among_others() -> None:
    difference = written(Measurement(2.0, "nats", 3, 1.0, 3.0))

    among = [verdict("higher", difference, {"corrected": corrected, "tests": 9}) for corrected in (0.05, 0.051)]

    assert among == ["holds", "does not hold among 9 claims, only alone"]
    assert verdict("lower", difference, {"corrected": 0.5, "tests": 9}).endswith("goes the other way")


def test_what_was_not_measured_has_no_verdict() -> None:
    assert verdict("lower", None) == "not measured"


# Studies


def invented(study: Study, numbers: Callable[[str, int], dict[str, float] | None]) -> dict[int, dict[str, Any]]:
    """A result for each point, from its arm and seed."""
    result = {}
    for index, point in enumerate(study.points):
        values = numbers(point.arm, point.plan.seed)
        if values is not None:
            output = {name: {"value": value, "unit": "bits", "n": 1} for name, value in values.items()}
            result[index] = {"name": study.name, "hash": point.plan.hash, "seed": point.plan.seed, "numbers": output}
    return result


def test_a_summary_pairs_each_arm_with_the_baseline(toy: Describe) -> None:
    study = toy(*ARMS, "sweep.seed=[0, 1, 2]")
    results = invented(
        study,
        lambda arm, seed: (
            None if (arm, seed) == ("other", 1) else {"cost": 10.0 * seed + (arm == "other") * (seed + 1)}
        ),
    )

    output = summary(study.points, results, study.baseline)

    assert output["baseline"]["cost"] == {**written(interval([0.0, 10.0, 20.0], "bits")), "difference": None}
    assert output["other"]["cost"]["value"] == 12.0  # of 1 and 23
    assert output["other"]["cost"]["difference"] == {**written(interval([1.0, 3.0], "bits")), "same_sign": 2}


def test_a_grid_is_paired_value_by_value(toy: Describe) -> None:
    study = toy("sweep.arms={baseline = {}, other = {'regularizer.0.weight' = 0.25}}", "sweep.prior.order=[0, 1]")

    output = summary(study.points, invented(study, lambda arm, seed: {"cost": 2.0 + (arm == "other")}), study.baseline)

    assert list(output) == [
        "baseline, prior.order=0", "baseline, prior.order=1", "other, prior.order=0", "other, prior.order=1"
    ]  # fmt: skip
    assert output["other, prior.order=1"]["cost"]["difference"]["value"] == 1.0


CLAIM = ("sweep.claim=[{number = 'cost', arm = 'other'}, {number = 'nothing', arm = 'other'}]", "sweep.seed=[0, 1, 2]")


def test_claims_are_reported_with_their_verdicts(toy: Describe) -> None:
    study = toy(*ARMS, *CLAIM)

    output = claims(study, invented(study, lambda arm, seed: {"cost": seed - (arm == "other") * (1 + seed / 10)}))

    assert [claim["verdict"] for claim in output] == ["holds", "not measured"]
    assert output[0]["difference"]["value"] == pytest.approx(-1.1)


def test_a_claim_of_what_is_known_sample_by_sample_has_an_interval_over_both(toy: Describe) -> None:
    study = toy(*ARMS, *CLAIM)
    results = invented(study, lambda arm, seed: {"cost": seed - float(arm == "other")})
    for index, point in enumerate(study.points):
        results[index]["outcomes"] = {"cost": [point.plan.seed - float(point.arm == "other")] * 5}

    first, second = claims(study, results)

    assert first["two_level"] == {"value": -1.0, "unit": "bits", "n": 5, "low": -1.0, "high": -1.0}
    assert "two_level" not in second
    assert verdicts({"claims": [first]})[0].endswith("; over seeds and 5 samples -1.00 to -1.00")


def test_claims_of_a_study_are_corrected_together(toy: Describe) -> None:
    names = ("cost", "time")
    written_down = ", ".join(f"{{number = '{name}', arm = 'other'}}" for name in names)
    study = toy(*ARMS, f"sweep.claim=[{written_down}]", "sweep.seed=[0, 1, 2]")
    gaps = {"cost": [-1.0, -1.1, -1.2], "time": [-1.0, -2.0, -2.0]}

    output = claims(
        study, invented(study, lambda arm, seed: {name: (arm == "other") * gaps[name][seed] for name in names})
    )

    raw = [stats.ttest_1samp(gaps[name], 0).pvalue for name in names]
    assert [each["test"]["p"] for each in output] == pytest.approx(raw)
    assert [each["test"]["corrected"] for each in output] == pytest.approx([2 * raw[0], raw[1]])
    assert all(", p " in line and "corrected for 2 claims" in line for line in verdicts({"claims": output}))


def test_a_claim_of_right_and_wrong_answers_has_mcnemars_test(toy: Describe) -> None:
    study = toy(*ARMS, *CLAIM)
    results = invented(study, lambda arm, seed: {"cost": seed - float(arm == "other")})
    for index, point in enumerate(study.points):
        results[index]["outcomes"] = {"cost": [1, 1, 1, 0] if point.arm == "other" else [0, 0, 1, 1]}

    (first, _) = claims(study, results)

    assert {name: first["mcnemar"][name] for name in ("gained", "lost")} == {"gained": 6, "lost": 3}
    assert first["mcnemar"]["p"] == pytest.approx(260 / 512)  # 2 (C(9, 6) + C(9, 7) + C(9, 8) + C(9, 9)) / 2^9
    assert "6 samples gained, 3 lost, McNemar's p 0.51" in verdicts({"claims": [first]})[0]


def test_a_claim_about_an_arm_that_failed_is_still_reported(toy: Describe) -> None:
    study = toy(*ARMS, *CLAIM)

    output = claims(study, invented(study, lambda arm, seed: None if arm == "other" else {"cost": 1.0}))

    assert [claim["verdict"] for claim in output] == ["not measured", "not measured"]


# Running them


def test_a_sweep_over_priors_trains_each_tokenizer_once_a_seed(toy: Describe, runs: Path) -> None:
    study = toy(
        "sweep.arms={baseline = {}, other = {'prior.order' = 0}, third = {'training.prior.steps' = 3}}",
        "sweep.seed=[0, 1]",
    )

    ended = run(study, runs, silent)

    assert sorted(ended.results) == list(range(6))
    assert len(list(runs.glob("stages/tokenizer/*/final"))) == 2
    assert len(list(runs.glob("stages/prior/*/final"))) == 6


def test_a_second_call_starts_no_work(toy: Describe, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = toy(*ARMS)
    first = run(study, runs, silent)
    monkeypatch.setattr(sweep, "work", None)
    monkeypatch.setattr(type(study.executor), "build", lambda self: pytest.fail("an executor was built"))

    again = run(study, runs, silent)

    assert again == first


def test_a_point_that_fails_stops_nothing_else_and_is_named(toy: Describe, runs: Path) -> None:
    fast = "{'training.prior.optimizer.learning_rate' = 1e300}"
    study = toy(f"sweep.arms={{baseline = {{}}, fast = {fast}, other = {{'prior.order' = 0}}}}")

    ended = run(study, runs, silent)

    assert sorted(ended.results) == [0, 2]
    problem = failed(study, ended)
    assert problem is not None
    assert str(problem).startswith("fast, seed 0: number ")


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), SystemExit(0)])
@pytest.mark.parametrize("late", [False, True])
def test_whatever_an_executor_raises_is_one_error(
    toy: Describe, runs: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, late: bool
) -> None:
    class Broken:
        def run(self, *_: object) -> list[None]:
            raise error

    def build(self: object) -> object:
        return Broken() if late else Broken().run()

    study = toy()
    monkeypatch.setattr(sweep, "rehearse", lambda *_: {})
    monkeypatch.setattr(type(study.executor), "build", build)

    with pytest.raises(RunError, match=rf"^executor: {type(error).__name__}: \w$"):
        run(study, runs, silent)


def test_an_executor_that_cannot_be_built_ends_the_sweep_before_its_rehearsal(
    toy: Describe, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(self: object) -> None:
        raise RunError("pip install it")

    study = toy()
    monkeypatch.setattr(sweep, "rehearse", lambda *_: pytest.fail("it was rehearsed"))
    monkeypatch.setattr(type(study.executor), "build", build)

    with pytest.raises(RunError, match=r"^pip install it$"):
        run(study, runs, silent)


def test_an_executor_that_yields_something_else_is_refused(
    toy: Describe, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd:
        def run(self, *_: object) -> list[object]:
            return [7]

    study = toy()
    monkeypatch.setattr(sweep, "rehearse", lambda *_: {})
    monkeypatch.setattr(type(study.executor), "build", lambda self: Odd())

    with pytest.raises(RunError, match="executor: TypeError: expected pieces of work that ended, got 7"):
        run(study, runs, silent)


def answering(monkeypatch: pytest.MonkeyPatch, study: Any, *answers: Done) -> None:
    """An executor that has these answers and does nothing."""

    class Idle:
        def run(self, *_: object) -> tuple[Done, ...]:
            return answers

    monkeypatch.setattr(sweep, "rehearse", lambda *_: {})
    monkeypatch.setattr(type(study.executor), "build", lambda self: Idle())


def test_a_point_without_an_answer_has_failed(toy: Describe, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = toy("sweep.seed=[0, 1]")
    answering(monkeypatch, study, Done(1, {"problem": "it fell over"}, None))

    ended = run(study, runs, silent)

    assert ended.results == {}
    assert ended.problems[1] == "it fell over"
    assert ended.problems[0] == "expected an answer of the executor, got none; the same command tries again"


@pytest.mark.parametrize("place", [-1, 2])
def test_an_answer_for_no_point_is_refused(
    toy: Describe, runs: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    study = toy("sweep.seed=[0, 1]")
    answering(monkeypatch, study, Done(place, {"problem": "it fell over"}, None))

    with pytest.raises(RunError, match=rf"^executor: ValueError: expected a place from 0 to 1, got {place}$"):
        run(study, runs, silent)


def test_a_folder_that_is_not_ours_stops_nothing_else_and_is_named(toy: Describe, runs: Path) -> None:
    study = toy(*ARMS)
    foreign = address(study.points[0].plan, runs)
    foreign.mkdir(parents=True)
    (foreign / "thesis.tex").write_text("mine")

    ended = run(study, runs, silent)

    assert sorted(ended.results) == [1]
    assert str(failed(study, ended)).startswith(f"baseline, seed 0: {foreign}: expected a run of 'toy'")


def test_nothing_failed_is_no_error(toy: Describe) -> None:
    assert failed(toy(), Finished({0: {}}, {})) is None


TIMES = (
    {"started": 1_600_000_005.0, "ended": 1_600_000_010.0},
    {"started": 1_600_000_000.0, "ended": 1_600_000_005.0},
    {"started": 1_600_000_005.0, "ended": 1_600_003_605.0},
)
"""Seconds of 13 September 2020, when 1,600,000,000 of them had gone since 1970, 12:26:40 UTC."""


def test_what_is_gathered_names_every_point_and_number(toy: Describe, runs: Path) -> None:
    study = toy(*ARMS, "sweep.seed=[0, 1]")
    results = invented(study, lambda arm, seed: None if (arm, seed) == ("other", 1) else {"cost": float(seed)})

    about = {
        "backends": {},
        "versions": {},
        **dict.fromkeys(("device", "dtype", "threads", "machine", "python", "git")),
        "command": "/bin/crt run toy.toml",
        "dataset": {"checksum": "abc"},
    }
    for index in results:
        seal(address(study.points[index].plan, runs) / "run.json", about | {"threads": 1 + index // 2, **TIMES[index]})

    folder = gather(study, runs, Finished(results, {3: "it broke"}))

    output = json.loads((folder / "sweep.json").read_bytes())
    assert [run["problem"] for run in output["runs"]] == [None, None, None, "it broke"]
    assert {"value", "n", "unit", "difference"} == output["arms"]["other"]["cost"].keys()
    assert output["ran_on"]["settings"]["threads"] == ["1", "2"]
    assert output["times"] == {
        "started": "2020-09-13 12:26:40 UTC",
        "ended": "2020-09-13 13:26:45 UTC",
        "took": "1:00:10 (h:mm:ss), in all 3 runs",
        "command": "crt run toy.toml",
        "data": "SHA-256 abc",
    }
    assert math.isclose(output["arms"]["baseline"]["cost"]["value"], 0.5)
