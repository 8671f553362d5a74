"""A small study of latent reasoning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crt_basics.priors.table import TablePrior
from crt_cost.outline import outlined
from crt_cost.stages import costs
from crt_run.runs.execute import execute
from crt_run.runs.records import RECORDS, read_json, read_records
from crtcore import discover
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import RunError, SpecError, Stopped
from crtcore.kinds import Plan

EXPERIMENT: dict[str, Any] = {"use": "latent-reasoning", "tested": 5, "ceilings": [0, 8, 16]}
SMALL: dict[str, Any] = {
    "name": "small",
    "experiment": EXPERIMENT,
    "dataset": {"use": "affine-chain", "steps": 2, "verbosity": 2, "train": 40, "validation": 10, "test": 10},
    "tokenizer": {"use": "text-chunks", "chunk": 8, "rate": 4, "width": 8, "heads": 2},
    "bottleneck": {"use": "fsq", "levels": [3, 3]},
    "prior": {"use": "table", "order": 1},
    "decoder": {"use": "ancestral"},
    "sampling": {"temperature": 0.0},
    "training": {stage: {"steps": 4, "batch": 8} for stage in ("tokenizer", "prior")},
}


def plan(**tables: Any) -> Plan:
    """The plan of the small study, with other tables."""
    (point,) = study(Document(SMALL | tables, {}), discover()).points
    return point.plan


def arm(**fields: Any) -> Plan:
    """The small study with another form of traces."""
    return plan(experiment=EXPERIMENT | fields)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all runs of this module, which share stages."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def latent(runs: Path) -> dict[str, Any]:
    """The small study's result."""
    return execute(plan(), runs)


def test_a_latent_arm_has_a_point_for_every_number_of_chunks(latent: dict[str, Any]) -> None:
    assert [point["labels"]["replaced"] for point in latent["points"]] == [0, 8, 16]
    assert [point["numbers"]["latent_tokens"]["value"] for point in latent["points"]] == [0, 2, 4]


def test_only_of_free_answers_is_it_said_how_many_had_to_be_closed(latent: dict[str, Any]) -> None:
    assert 0 <= latent["numbers"]["closed_by_force"]["value"] <= 1
    assert not any("closed_by_force" in point["numbers"] for point in latent["points"])


def test_a_prior_with_too_few_positions_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = 7 + 27  # the longest prompt with <think>, and an answer as long as the longest row
    monkeypatch.setattr(TablePrior, "longest", needed - 1, raising=False)
    with pytest.raises(RunError, match=rf"positions for {needed} ids, 7 of a prompt and 27 of an answer, .* got 33; "):
        execute(plan(), tmp_path)

    assert read_json(tmp_path / "small" / plan().hash / "run.json").get("stages", {}) == {}

    monkeypatch.setattr(TablePrior, "longest", needed)
    assert execute(plan(), tmp_path)["numbers"]["tokens"]["n"] == EXPERIMENT["tested"]


def test_outcomes_of_each_problem_are_reported(latent: dict[str, Any]) -> None:
    for name in ("accuracy", "tokens", "forced_accuracy", "forced_tokens"):
        each = latent["outcomes"][name]
        assert len(each) == EXPERIMENT["tested"]
        assert sum(each) / len(each) == pytest.approx(latent["numbers"][name]["value"])


def test_forced_numbers_are_those_of_the_most_codes(latent: dict[str, Any], runs: Path) -> None:
    most, plain = latent["points"][-1]["numbers"], execute(arm(trace="cot"), runs)

    for name in ("accuracy", "tokens"):
        assert latent["numbers"][f"forced_{name}"] == most[name]
        assert plain["numbers"][f"forced_{name}"] == plain["numbers"][name]
        assert plain["outcomes"][f"forced_{name}"] == plain["outcomes"][name]
    assert latent["numbers"]["forced_tokens"] != latent["numbers"]["tokens"]


def test_all_arms_report_the_same_numbers(latent: dict[str, Any], runs: Path) -> None:
    others = [execute(arm(trace=trace), runs) for trace in ("answer-only", "cot", "stripped", "pause", "icot")]

    for other in others:
        (point,) = other["points"]
        assert point["labels"]["replaced"] == 0
        assert point["numbers"]["tokens"] == other["numbers"]["tokens"]
        assert set(latent["numbers"]) - set(other["numbers"]) == {
            "codes_used", "code_perplexity", "reconstruction_nats", "reconstruction_accuracy",
        }  # fmt: skip
    for name in ("accuracy", "tokens", "latent_tokens", "text_tokens", "saving_mechanical"):
        number = latent["numbers"][name]
        assert number["low"] <= number["value"] <= number["high"]
        assert number["n"] == 5


def test_arms_of_one_rate_share_their_tokenizer_and_a_hash_needs_none(latent: dict[str, Any], runs: Path) -> None:
    for fields, needs in (
        ({"codes": "shuffled"}, True),
        ({"replacement": "all"}, True),
        ({"codes": "hash"}, False),
        ({"codes": "fixed"}, False),
    ):
        chosen = arm(**fields)

        result = execute(chosen, runs)

        stages = read_json(runs / "small" / chosen.hash / "run.json")["stages"]
        assert ("tokenizer" in stages) == needs
        assert not needs or stages["tokenizer"]["reused"]
        assert not stages["prior"]["reused"]
        assert (result["numbers"]["tokenizer_examples"]["value"] > 0) == needs


def test_budgets_include_the_training_of_the_tokenizer(latent: dict[str, Any]) -> None:
    numbers = {name: number["value"] for name, number in latent["numbers"].items()}

    assert numbers["tokenizer_examples"] == numbers["prior_examples"] == 32
    assert numbers["tokenizer_tokens"] == 32 * (6 + 16 + 2 + 3)
    for measure in ("examples", "tokens", "seconds"):
        parts = numbers[f"tokenizer_{measure}"], numbers[f"prior_{measure}"]
        assert numbers[f"training_{measure}"] == pytest.approx(sum(parts))
        assert min(parts) > 0


def test_training_on_answers_alone_reads_fewer_ids(runs: Path) -> None:
    result = execute(arm(trace="answer-only"), runs)

    assert result["numbers"]["prior_tokens"]["value"] == 32 * (6 + 2 + 3)


def test_which_problems_were_solved_is_recorded(latent: dict[str, Any], runs: Path) -> None:
    records = read_records(runs / "small" / plan().hash / RECORDS)

    solved_by_replaced = {line["replaced"]: line["solved"] for line in records if line["stage"] == "answers"}
    health = [line for line in records if line["stage"] == "codes"]
    assert list(solved_by_replaced) == [-1, 0, 8, 16]
    assert {len(solved) for solved in solved_by_replaced.values()} == {5}
    assert health[0]["codes_used"] == latent["numbers"]["codes_used"]["value"]


def test_a_stopped_study_ends_with_the_same_result(latent: dict[str, Any], tmp_path: Path) -> None:
    stopped = 0
    result = None
    while result is None:
        try:
            result = execute(plan(), tmp_path, stopping=asked(3 + stopped))  # each time a little further
        except Stopped:
            stopped += 1

    assert stopped > 3
    assert timeless(result) == timeless(latent)


def asked(times: int) -> Callable[[], bool]:
    """Returns a function that asks to stop after a number of calls."""
    count = 0

    def stopping() -> bool:
        nonlocal count
        count += 1
        return count > times

    return stopping


def timeless(result: dict[str, Any]) -> dict[str, Any]:
    """Returns the result without times."""
    numbers = {name: number for name, number in result["numbers"].items() if not name.endswith("seconds")}
    return {"numbers": numbers, "points": result["points"]}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"dataset": {"use": "python-source"}},
            "dataset.use: expected a dataset of reasoning traces, got 'ids' data",
        ),
        ({"sampling": {"temperature": 1.0}}, "sampling.temperature: expected 0, as answers are decoded greedily"),
        ({"experiment": EXPERIMENT | {"trace": "cott"}}, "experiment.trace: expected one of .*; did you mean 'cot'"),
    ],
)
def test_parts_that_do_not_fit_are_named(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        plan(**tables)


@pytest.mark.parametrize(
    "dataset",
    [
        {"use": "arithmetic", "digits": 2},
        {"use": "deduction", "hops": 2, "distractors": 1},
        {"use": "graph", "nodes": 8, "hops": 2},
        {"use": "maze", "expansions": 24},
    ],
    ids=lambda dataset: dataset["use"],
)
def test_all_tasks_are_answered(dataset: dict[str, Any], tmp_path: Path) -> None:
    sizes = {"train": 16, "validation": 4, "test": 4}
    chunks = SMALL["tokenizer"] | {"chunk": 4, "rate": 2}

    result = execute(plan(dataset=dataset | sizes, tokenizer=chunks), tmp_path)

    assert result["numbers"]["tokens"]["value"] > 0
    assert result["points"][1]["numbers"]["latent_tokens"]["value"] == 2


def test_a_task_without_fillers_has_nothing_to_strip(tmp_path: Path) -> None:
    bare = SMALL["dataset"] | {"verbosity": 0}

    with pytest.raises(RunError, match="expected a dataset with fillers to strip, got one without"):
        execute(plan(dataset=bare, experiment=EXPERIMENT | {"trace": "stripped"}), tmp_path)


@pytest.mark.parametrize(
    ("codes", "trained"),
    [
        ("learned", ["tokenizer", "prior"]),
        *((each, ["prior"]) for each in ("hash", "ids-hash", "prompt-hash", "fixed")),
    ],
)
def test_costs_are_of_trained_stages_and_rows_with_codes(codes: str, trained: list[str]) -> None:
    some = arm(codes=codes)

    by_stage = {cost.stage: cost for cost in costs(some, outlined(some.parts["dataset"]))}

    assert list(by_stage) == trained
    alphabet = 10 + 3 + 4 + 2 + 3 + 9 + 2  # values, signs, marks, fillers, delimiters, codes, bracket
    assert by_stage["prior"].parameters["prior"] == (alphabet + 1) * alphabet  # a row after each id, and one at first
    assert by_stage["prior"].ids == (2 * 2 + 2) + 1 + 2 * 8 + 1 + 2 + 1


def test_costs_of_an_arm_without_fillers_are_counted_on_blank_data() -> None:
    some = arm(trace="stripped")

    assert [cost.stage for cost in costs(some, outlined(some.parts["dataset"]))] == ["prior"]
