"""The decoding study: its trials, its choices, its results, and resuming after a stop."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crt_basics.priors.table import TablePrior
from crt_run.runs.execute import execute
from crt_run.runs.records import RECORDS, read_records
from crt_run.statistics import ratio, scaled
from crt_verify.decoding.accuracy import overlap, scorer, words
from crt_verify.decoding.entry import Entry
from crt_verify.decoding.experiment import calls_an_id
from crt_verify.decoding.samples import Samples
from crt_verify.decoding.table import _relative, points, unbounded
from crt_verify.decoding.trial import Pair, Round, rounds, run_trial
from crt_verify.decoding.trials import Timed, Trials
from crt_verify.specs import RSDC, BlockVerification, LikeliestTree, SpecTr, SpeculativeDecoding
from crtcore import Limits, Sampling, discover
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import RunError, SpecError, Stopped
from crtcore.kinds import Measurement, Plan

DECODERS: list[dict[str, Any]] = [
    {"use": "sd", "length": 3},
    {"use": "rsd-c", "branching": [2, 1]},
    {"use": "rsd-c", "branching": [4]},
    {"use": "rsd-s", "width": 2, "length": 2},
]
SMALL: dict[str, Any] = {
    "name": "small",
    "experiment": {
        "use": "decoding",
        "prompts": 3,
        "timed": 2,
        "choices": 2,
        "prompt": 8,
        "length": 12,
        "evaluations": 1,
    },
    "dataset": {"use": "python-source", "length": 32},
    "prior": {"use": "table", "order": 1},
    "draft": {"use": "table", "order": 0},
    "training": {
        stage: {"steps": 20, "batch": 32, "optimizer": {"learning_rate": 0.5}} for stage in ("prior", "draft")
    },
    "decoder": DECODERS,
    "sampling": {"temperature": 0.7},
}


def plan(**tables: Any) -> Plan:
    """The plan of the small study, with other tables."""
    (point,) = study(Document(SMALL | tables, {}), discover()).points
    return point.plan


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The small study's result, and its folder."""
    runs = tmp_path_factory.mktemp("runs")
    result = execute(plan(), runs)
    return result, runs / "small" / plan().hash


def test_there_is_a_point_for_each_decoder_and_budget(small: tuple[dict[str, Any], Path]) -> None:
    result, _ = small

    shown = [(point["labels"]["decoder"], point["labels"]["budget"]) for point in result["points"]]

    assert shown == [("rsd-c", 4), ("rsd-s", 4), ("sd", 3)]
    for point in result["points"]:
        numbers = point["numbers"]
        assert point["labels"]["temperature"] == 0.7
        for name in ("block_efficiency", "mbsu", "accuracy", "bound_fraction"):
            assert numbers[name]["low"] <= numbers[name]["value"] <= numbers[name]["high"]
        assert numbers["token_rate"]["value"] > 0


def test_the_backend_of_every_decoder_is_recorded(small: tuple[dict[str, Any], Path]) -> None:
    _, folder = small

    backends = json.loads((folder / "run.json").read_text())["backends"]

    used = {name: words for name, words in backends.items() if name.startswith("decoder ")}
    structures = ("sd length=3", "rsd-c branching=2,1", "rsd-c branching=4", "rsd-s width=2 length=2")
    assert set(used) == {f"decoder {structure}" for structure in structures}
    assert all(re.fullmatch(r"kernels \(g\+\+ .* on cpu\)", words) for words in used.values())


def test_the_backend_changes_no_result(small: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    other = plan(decoder=[table | {"verification": "torch"} for table in DECODERS])

    result = execute(other, tmp_path)

    backends = json.loads((tmp_path / "small" / other.hash / "run.json").read_text())["backends"]
    assert {words for name, words in backends.items() if name.startswith("decoder ")} == {"torch"}
    assert other.hash == plan().hash
    assert timeless(result) == timeless(small[0])


def test_the_structure_with_the_fewest_calls_an_id_on_validation_samples_is_kept(
    small: tuple[dict[str, Any], Path],
) -> None:
    result, folder = small

    labels = [point["labels"] for point in result["points"]]
    kept = next(each["structure"] for each in labels if each["decoder"] == "rsd-c")

    lines = [line["trials"] for line in read_records(folder / RECORDS) if line["stage"] == "decoding"]
    calls = {key: calls_an_id(output) for line in lines[:2] for key, output in line.items()}
    assert set(calls) == {"rsd-c branching=2,1", "rsd-c branching=4"}
    assert f"rsd-c {kept}" == min(calls, key=lambda key: calls[key])


def test_every_decoder_continues_all_samples_at_once_and_the_timed_ones_alone(
    small: tuple[dict[str, Any], Path],
) -> None:
    _, folder = small

    lines = [line["trials"] for line in read_records(folder / RECORDS) if line["stage"] == "decoding"]

    together, alone = lines[2:6], lines[6:]
    assert [len(line) for line in together] == [1] * 4  # ancestral decoding and three points
    assert [len(line) for line in alone] == [4] * 2
    for line in together:
        (output,) = line.values()
        assert [len(row) for row in output["ids"]] == [12] * 3
    for place, line in enumerate(alone):
        for batch in together:
            ((key, output),) = batch.items()
            assert line[key]["ids"] == output["ids"][place : place + 1]


def test_a_stopped_study_resumes(small: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    asked = 0

    def stopping() -> bool:
        nonlocal asked
        asked += 1
        return asked > 38 + 4  # training asks at each step but the last

    with pytest.raises(Stopped):
        execute(plan(), tmp_path, stopping=stopping)
    before = [line for line in lines_of(tmp_path) if line["stage"] == "decoding"]
    result = execute(plan(), tmp_path)

    after = [line for line in lines_of(tmp_path) if line["stage"] == "decoding"]
    assert 0 < len(before) < len(after) == 8
    assert after[: len(before)] == before
    assert timeless(result) == timeless(small[0])


def test_shares_of_the_bound_are_left_out_for_large_vocabularies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crt_verify.decoding.table.BOUNDED", 255)

    result = execute(plan(), tmp_path)

    assert not [point for point in result["points"] if "bound_fraction" in point["numbers"]]
    assert result["notes"][-1].startswith("bound_fraction is not measured: expected at most 255 ids, got 256")


def test_a_decoder_that_copies_is_measured_beside_a_chain(tmp_path: Path) -> None:
    result = execute(plan(decoder=[{"use": "sd", "length": 3}, {"use": "lookup", "nodes": 3}]), tmp_path)

    numbers = {point["labels"]["decoder"]: point["numbers"] for point in result["points"]}
    copying, chain = numbers["lookup"], numbers["sd"]
    assert copying["mbsu"]["value"] == copying["block_efficiency"]["value"]  # as no model drafts
    assert not [name for name in copying if name == "bound_fraction" or name.startswith("acceptance")]
    gain = copying["block_efficiency"]["value"] / chain["block_efficiency"]["value"]
    assert copying["over_chain"]["value"] == pytest.approx(gain)
    assert "over_chain" not in chain
    (note,) = result["notes"]
    assert note.startswith("ids a call at 3 drafted ids, paired by sample: ")


def lines_of(runs: Path) -> list[dict[str, Any]]:
    """Every line recorded by the small study, repeated ones too."""
    text = (runs / "small" / plan().hash / RECORDS).read_text()
    return [json.loads(line) for line in text.splitlines()]


def timeless(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The points without what was timed."""
    timed = ("token_rate", "token_rate_over_chain", "mbsu_measured")
    return [
        point | {"numbers": {name: number for name, number in point["numbers"].items() if name not in timed}}
        for point in result["points"]
    ]


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        (
            {"experiment": SMALL["experiment"] | {"timed": 4}},
            "experiment.timed: expected at most as many as there are prompts, 3, got 4",
        ),
        (
            {"experiment": SMALL["experiment"] | {"accuracy": "bleu"}},
            "experiment.accuracy: expected 'pairs', as 'python-source' has ids and no text, got 'bleu'",
        ),
        ({"dataset": {"use": "digits"}}, "dataset.use: expected a dataset of ids, got one of 'image' data"),
        (
            {"experiment": SMALL["experiment"] | {"claim": [{"decoder": "sd", "over": "block", "budget": 3}]}},
            "experiment.claim.0.over: expected a decoder of the study with 3 drafted ids, got 'block'",
        ),
        (
            {"decoder": [{"use": "ancestral"}]},
            "decoder.0.use: expected a decoder that drafts trees, as 'sd' and 'rsd-s' do, or copies, as 'lookup' does, "
            "got 'ancestral'",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(tables: dict[str, Any], reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        plan(**tables)


def test_samples_too_short_for_prompt_and_length_are_named(tmp_path: Path) -> None:
    long = SMALL["experiment"] | {"prompt": 30}

    with pytest.raises(RunError, match=r"expected 2 validation samples of at least 42 ids .* have up to 32 ids"):
        execute(plan(experiment=long), tmp_path)


# Results of trials


def test_texts_that_end_early_do_not_win_by_fewer_calls() -> None:
    long, short = ({"ids": [[0] * ids], "accepted": [[0] * calls]} for ids, calls in ((17, 5), (5, 3)))

    assert calls_an_id(long) == 4 / 16
    assert calls_an_id(short) == 2 / 4


def table(seed: int, order: int = 1, vocabulary: int = 4) -> TablePrior:
    """A random table."""
    generator = torch.Generator().manual_seed(seed)
    return TablePrior(torch.randn(1, (vocabulary + 1) ** order, vocabulary, generator=generator)).requires_grad_(False)


def trials(pair: Pair, entries: list[Entry], cost: float = 0.5) -> Trials:
    """Samples of 20 ids, of which 4 are the prompt."""
    ids = torch.randint(4, (6, 20), generator=torch.Generator().manual_seed(5))
    decoders = {"ancestral": discover().find("decoder", "ancestral").spec().build()}  # type: ignore[attr-defined]
    decoders |= {entry.key: entry.spec.build() for entry in entries}
    samples = Samples(ids, torch.full((6,), 4), None)
    outputs = {key: run_trial(pair, decoder, samples, Limits(length=16)) for key, decoder in decoders.items()}
    timed = {key: [Timed(1.0, 16), Timed(2.0, 16)] for key in decoders}
    return Trials(pair, samples, 16, outputs, timed, cost, overlap)


def test_a_draft_equal_to_its_target_reaches_the_bound_at_every_depth() -> None:
    pair = Pair(table(0), table(0), Sampling(), 3)
    entry = Entry("sd", {"length": 3}, SpeculativeDecoding(length=3))

    (row,) = points(trials(pair, [entry]), [entry])

    assert row.numbers["bound_fraction"].value == pytest.approx(1)
    assert [row.numbers[f"acceptance_{depth}"].value for depth in (1, 2, 3)] == [1, 1, 1]
    assert row.numbers["block_efficiency"].value == 15 / 4  # 1 + 4 + 4 + 4 + 3 ids
    assert "acceptance_4" not in row.numbers


def test_the_bound_of_the_likeliest_ids_is_of_those_of_the_draft_without_the_filters_of_the_target() -> None:
    """The target keeps its likeliest id, which is the draft's second; the draft alone keeps two ids."""
    target, draft = (
        TablePrior(torch.tensor([[row]])).requires_grad_(False) for row in ([0.0, 0, 1, 0], [0.0, 1, 2, 3])
    )
    spec = LikeliestTree(width=2, length=1, size=2)
    entry = Entry("likeliest-tree", {"width": 2, "length": 1, "size": 2}, spec)

    (row,) = points(trials(Pair(target, draft, Sampling(top_k=1), 3), [entry]), [entry])

    assert row.numbers["bound_fraction"].value == pytest.approx(1)
    assert row.numbers["acceptance_1"].value == 1


def test_a_tree_that_is_cut_has_no_share_of_the_bound() -> None:
    spec = LikeliestTree(width=2, length=2, size=3)
    entry = Entry("likeliest-tree", {"width": 2, "length": 2, "size": 3}, spec)
    run = trials(Pair(table(0), table(0), Sampling(), 3), [entry])

    (row,) = points(run, [entry])

    assert "bound_fraction" not in row.numbers
    assert unbounded(run, [entry]) == [
        "bound_fraction of likeliest-tree width=2 length=2 size=3 is not measured: "
        "which ids it drafts first depends on those behind them"
    ]


def test_speed_up_of_a_memory_bound_target_is_that_of_its_definition() -> None:
    pair = Pair(table(0, order=2), table(1, order=1), Sampling(), 3)
    entry = Entry("rsd-c", {"branching": [2, 1]}, RSDC(branching=(2, 1)))

    (row,) = points(trials(pair, [entry], cost=0.5), [entry])

    efficiency = row.numbers["block_efficiency"].value
    assert row.numbers["mbsu"].value == pytest.approx(efficiency / (1 + 2 * 20 / 100))  # 5 * 4 and 25 * 4 parameters
    assert row.numbers["mbsu_measured"].value == pytest.approx(efficiency / 2)


def test_the_same_text_has_the_same_accuracy() -> None:
    pair = Pair(table(0), table(0), Sampling(temperature=0), 3)
    entries = [
        Entry("block", {"length": 2}, BlockVerification(length=2)),
        Entry("spectr", {"paths": 2, "length": 2}, SpecTr(paths=2, length=2)),
    ]

    rows = points(trials(pair, entries), entries)

    assert [row.numbers["accuracy"][2:] for row in rows] == [(6, 1, 1)] * 2
    assert [row.labels["structure"] for row in rows] == ["length=2", "paths=2 length=2"]


def test_scores_that_are_all_zero_have_no_interval() -> None:
    assert _relative([0.0, 0.0], [0.5, 0.0], 0.99) == Measurement(0.0, "times ancestral", 2)
    assert _relative([0.0, 0.2], [0.5, 0.0], 0.99).low is not None


def test_rounds_have_a_start_and_a_possible_length() -> None:
    played = rounds([0, 3, 0, 2], 9, length=9, levels=3)

    assert played == [Round(1, 3, 3), Round(5, 3, 0), Round(6, 2, 2)]


def test_a_last_round_that_can_only_emit_one_id_drafts_nothing() -> None:
    played = rounds([0, 1, 0], 4, length=4, levels=3)

    assert played == [Round(1, 2, 1)]


def test_a_round_that_ends_at_a_stop_could_accept_no_more() -> None:
    assert rounds([0, 3, 1], 6, length=9, levels=3) == [Round(1, 3, 3), Round(5, 1, 1)]  # the accepted id stops
    assert rounds([0, 3, 1], 7, length=9, levels=3) == [Round(1, 3, 3), Round(5, 3, 1)]  # the id behind it does


def test_prompts_of_different_lengths_are_cut() -> None:
    samples = Samples(torch.tensor([[1, 2, 3, 4], [5, 6, -1, -1], [7, 8, 9, -1]]), torch.tensor([3, 1, 1]), None)

    assert samples.prompts.tolist() == [[1, 2, 3], [5, -1, -1], [7, -1, -1]]
    assert samples.true == [[4], [6], [8, 9]]


class Letters:
    """Ids as words."""

    def text(self, ids: list[int]) -> str:
        return " ".join(("The", "cat", "sat", "ON", "a", "mat.")[x] for x in ids)


def test_rouge_2_is_of_words_in_lower_case() -> None:
    score = scorer("rouge2", Letters())

    # the cat sat on a mat, beside the cat sat: two common pairs of five and two.
    assert score([0, 1, 2, 3, 4, 5], [0, 1, 2]) == pytest.approx(2 * 2 / 7)
    assert words("It's ON, 2-fold!") == ["it", "s", "on", "2", "fold"]
    assert score([], []) == 0


def test_bleu_is_that_of_its_definition() -> None:
    score = scorer("bleu", Letters())

    # All groups of one to four words occur, so the brevity penalty alone counts: five words, and seven with the stop.
    assert score([0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5]) == pytest.approx(math.exp(1 - 7 / 5))
    assert score([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("drawn", "true", "share"),
    [
        ([1, 2, 3], [1, 2, 3], 1.0),
        ([1, 2, 3], [3, 2, 1], 0.0),
        ([1, 2, 3, 4], [2, 3, 9, 9], 1 / 3),
        ([1, 1, 1, 1], [1, 1, 2, 2], 1 / 3),  # as often as both have it
    ],
)
def test_overlap_is_the_share_of_common_pairs(drawn: list[int], true: list[int], share: float) -> None:
    assert overlap(drawn, true) == pytest.approx(share)


@given(st.lists(st.tuples(st.floats(1, 9), st.floats(1, 9)), min_size=2, max_size=20), st.floats(0.1, 10))
def test_a_ratio_scales_with_what_is_above(pairs: list[tuple[float, float]], factor: float) -> None:
    above, below = zip(*pairs, strict=True)

    one, other = ratio(above, below, "x"), ratio([factor * each for each in above], below, "x")

    assert one.value == pytest.approx(math.fsum(above) / math.fsum(below))
    moved = scaled(one, factor, "x")
    assert (moved.value, moved.low, moved.high) == pytest.approx((other.value, other.low, other.high), abs=1e-9)


def test_the_ratio_s_interval_covers_as_often_as_it_says() -> None:
    """2,000 samples of 12: cover of 95 % within 2.5 points, five standard errors of a binomial share."""
    generator = torch.Generator().manual_seed(0)
    below = 4 + torch.rand(2000, 12, generator=generator)
    above = 2 * below + torch.randn(2000, 12, generator=generator)

    ratios = [ratio(x, y, "x") for x, y in zip(above.tolist(), below.tolist(), strict=True)]

    covered = sum((each.low or 0) <= 2 <= (each.high or 0) for each in ratios)
    assert abs(covered / 2000 - 0.95) < 0.025
