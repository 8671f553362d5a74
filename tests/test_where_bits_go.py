"""Where bits go: entropies and informations of chains that are known, and the sums of small runs."""

from __future__ import annotations

import itertools
import json
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from crt_basics.priors.table import TablePrior
from crt_run.present.tables import short
from crt_run.runs.execute import execute
from crt_run.sweeps.summary import gather
from crt_run.sweeps.sweep import Finished
from crtcore import discover
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.compose.study import Study
from crtcore.noise import Noise

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def entropies(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCH)
    import entropies

    return entropies


@pytest.fixture
def where(entropies: ModuleType) -> ModuleType:
    import where_bits_go

    return where_bits_go


@pytest.fixture
def pictures(where: ModuleType) -> ModuleType:
    import tokenizers_2026

    return tokenizers_2026


def chain() -> torch.Tensor:
    """32 rows of a fair bit that is twice passed on and flipped with probability 1/4, as often as is likely."""
    rows = []
    for start, one, two in itertools.product((0, 1), repeat=3):
        rows += [[start, start ^ one, start ^ one ^ two]] * (3 ** (2 - one - two))
    return torch.tensor(rows)


def information(flip: float) -> float:
    """That of a fair bit on its copy, which is flipped as likely."""
    return 1 + flip * math.log2(flip) + (1 - flip) * math.log2(1 - flip)


def test_the_entropy_of_counts_has_half_a_nat_a_sample_for_each_further_cell(entropies: ModuleType) -> None:
    counts = torch.tensor([[2, 2, 0], [4, 0, 0], [0, 0, 0]])

    assert entropies.miller_madow(counts).tolist() == pytest.approx([1 + 1 / (8 * math.log(2)), 0, 0])


def test_the_informations_of_a_known_chain_are_exact(entropies: ModuleType) -> None:
    bits = entropies.informations(chain(), 2)

    bias = (1 + 1 - 3) / (2 * 32 * math.log(2))  # cells beyond the first of each entropy
    assert bits[0, 1] == pytest.approx(information(1 / 4) + bias)
    assert bits[1, 2] == pytest.approx(information(1 / 4) + bias)
    assert bits[0, 2] == pytest.approx(information(3 / 8) + bias)
    assert torch.equal(bits, bits.T)


def test_the_tree_of_a_chain_has_its_total_correlation(entropies: ModuleType) -> None:
    rows = chain()
    joint = entropies.miller_madow(torch.bincount(rows @ torch.tensor([4, 2, 1])))
    tree = entropies.tree(entropies.informations(rows, 2))

    correlation = 3 - joint + 7 / (2 * 32 * math.log(2))  # without the correction, as the counts are exact
    assert tree + 2 / (2 * 32 * math.log(2)) == pytest.approx(float(correlation))
    assert tree == pytest.approx(2 * information(1 / 4) - 2 / (2 * 32 * math.log(2)))


def test_shuffled_ids_have_no_information_and_the_uncorrected_estimate_has_some(entropies: ModuleType) -> None:
    """The mean of 66 nearly independent estimates has a deviation of 0.0009: 6 of them are a false alarm of 1e-8."""
    one = Noise(0, "test").order(8000)[:1000] % 8
    ids = entropies.shuffled(one[:, None].expand(-1, 12))
    later = torch.ones(12, 12).triu(1).bool()

    bits = entropies.informations(ids, 8)[later]

    assert abs(float(bits.mean())) < 0.0054
    assert float(bits.mean()) + 49 / (2 * 1000 * math.log(2)) > 0.0054
    assert all(torch.equal(ids[:, place].sort().values, one.sort().values) for place in range(12))


def test_a_held_out_id_pays_for_its_share_of_training_samples_and_half_a_sample(entropies: ModuleType) -> None:
    train = torch.tensor([[0], [0], [1]])

    assert entropies.held_out_alone(train, torch.tensor([[1]]), 2).tolist() == pytest.approx([math.log2(4 / 1.5)])
    assert entropies.held_out_alone(train, torch.tensor([[0], [1]]), 2).tolist() == pytest.approx(
        [(math.log2(4 / 2.5) + math.log2(4 / 1.5)) / 2]
    )


def test_a_class_that_determines_an_id_leaves_no_entropy(entropies: ModuleType) -> None:
    ids = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])

    assert entropies.given_class(ids, ids[:, 0], 2).tolist() == pytest.approx([0, 1 + 1 / (4 * math.log(2))])


def test_each_id_pays_what_the_table_says_of_it(where: ModuleType) -> None:
    stay = torch.tensor([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]).log()  # the last row is before the first id

    bits = where.bits_of_ids(TablePrior(stay[None]), torch.tensor([[0, 0, 1]]), None).detach()

    assert bits.tolist() == [pytest.approx([1, math.log2(4 / 3), 2])]


def test_cells_go_row_by_row(where: ModuleType) -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)

    assert where.in_cells(image, 2).flatten(1).tolist() == [
        [0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15],
    ]  # fmt: skip
    with pytest.raises(ValueError, match="multiples of 3, got 4 by 4"):
        where.in_cells(image, 3)


def test_every_pair_of_positions_is_beside_above_or_apart(where: ModuleType) -> None:
    positions = {name: pairs.nonzero().tolist() for name, pairs in where.neighbours(2).items()}

    assert positions == {"beside": [[0, 1], [2, 3]], "above": [[0, 2], [1, 3]], "apart": [[0, 3], [1, 2]]}
    assert int(sum(pairs.sum() for pairs in where.neighbours(4).values())) == 16 * 15 / 2


def toy() -> Study:
    """Two seeds of two arms, one with a prefix, each trained for a few steps."""
    conv, stage = {"use": "conv", "channels": 8}, {"steps": 3, "batch": 8}
    prefix = {"use": "prefix", "count": 2, "codes": 4, "tokenizer": conv}
    values = {
        "name": "toy",
        "experiment": {"use": "two-stage", "samples": 40},
        "dataset": {"use": "digits"},
        "tokenizer": conv,
        "bottleneck": {"use": "vq", "codes": 8},
        "regularizer": [],
        "prior": {"use": "table", "order": 1},
        "decoder": {"use": "ancestral"},
        "metric": [{"use": "code-length"}],
        "training": {"tokenizer": stage, "prior": stage},
        "sweep": {
            "seed": [0, 1],
            "arms": {"baseline": {}, "prefix": {"tokenizer": prefix}},
        },
    }  # fmt: skip
    return study(Document(values, {}), discover())


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, dict[str, Any]]]:
    """The folder of a finished sweep, and the results of its runs."""
    runs, asked = tmp_path_factory.mktemp("runs"), toy()
    results = {place: execute(point.plan, runs) for place, point in enumerate(asked.points[:3])}
    return gather(asked, runs, Finished(results, {3: "it was stopped"})), results


def test_parts_of_a_run_sum_to_its_numbers(
    ran: tuple[Path, dict[int, dict[str, Any]]], where: ModuleType
) -> None:  # fmt: skip
    record, missing = where.read(ran[0])

    assert len(record["runs"]) == 3
    assert len(missing) == 1
    for run, result in zip(record["runs"], ran[1].values(), strict=True):
        numbers = {name: each["value"] for name, each in result["numbers"].items()}
        sums, cells, prefixed = run["sums"], run["by_cell"], run["arm"] == "prefix"
        assert sums["ids"] == pytest.approx(numbers["id_code_length_bits"], rel=1e-5)
        assert sums["rest"] == pytest.approx(numbers["data_given_ids_bits"], rel=1e-5)
        assert sums["both"] == pytest.approx(sums["alone"] - sums["context"] + sums["rest"])
        assert sum(cells["rest"]) == pytest.approx(sums["rest"])
        assert sum(cells["ids"]) + sums["front"] == pytest.approx(sums["ids"])
        assert (sums["front"] > 0) == prefixed
        assert [len(cells["ids"]), len(run["by_position"]["ids"])] == [16, 18 if prefixed else 16]
        assert set(run["by_class"]) <= set(map(str, range(10)))
        assert min(each["ids"] for each in run["by_class"].values()) <= sums["ids"]
        assert max(each["ids"] for each in run["by_class"].values()) >= sums["ids"]
        assert ("tree" in sums) != prefixed  # 18 positions are no square


def test_differences_are_paired_by_seed(ran: tuple[Path, dict[int, dict[str, Any]]], where: ModuleType) -> None:
    record, _ = where.read(ran[0])
    by_seed = {(run["arm"], run["seed"]): run for run in record["runs"]}
    (shared,) = {seed for arm, seed in by_seed if arm == "prefix"}

    (gap,) = where.differences(record, "sums", "ids").values()
    (cells,) = where.by_place(record, "by_cell", "rest").values()

    pair = [by_seed[arm, shared] for arm in ("prefix", "baseline")]
    assert gap["value"] == pytest.approx(pair[0]["sums"]["ids"] - pair[1]["sums"]["ids"])
    assert cells[5] == pytest.approx(pair[0]["by_cell"]["rest"][5] - pair[1]["by_cell"]["rest"][5], abs=1e-4)
    assert len(list(where.rows(record))) == 2 + 1 + 2
    lines = list(where.details(record))
    assert len(lines) == 4
    one = next(iter(pair[0]["by_class"]))
    ids = [run["by_class"][one]["ids"] for run in pair]  # what the ids leave is the same after three steps
    assert f"{one} {short(ids[0] - ids[1], sign=True)} (1/1)" in lines[1]


def test_cells_are_drawn(ran: tuple[Path, dict[int, dict[str, Any]]], pictures: ModuleType, tmp_path: Path) -> None:
    record, _ = sys.modules["where_bits_go"].read(ran[0])

    pictures.draw_cells(record, tmp_path / "cells.png")

    assert (tmp_path / "cells.png").read_bytes().startswith(b"\x89PNG")


def test_ids_that_cost_another_number_than_the_run_says_are_refused(
    ran: tuple[Path, dict[int, dict[str, Any]]], where: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = where.bits_of_ids
    monkeypatch.setattr(where, "bits_of_ids", lambda *arguments: right(*arguments) + 1)

    with pytest.raises(ValueError, match=r"expected ids of [\d.]+ bits a sample, got"):
        where.read(ran[0])


def number(value: float, gap: float | None = None) -> dict[str, Any]:
    """A mean over five seeds, and its difference from the baseline's."""
    ends = {"unit": "bits", "n": 5}
    less = None if gap is None else {"value": gap, "low": gap - 1, "high": gap + 1, "same_sign": 5, **ends}
    return {"value": value, "low": value - 2, "high": value + 2, "difference": less, **ends}


def test_the_answer_names_arms_whose_claims_hold_and_the_picture_is_drawn(pictures: ModuleType, tmp_path: Path) -> None:
    arms = {
        arm: {name: number(50 + place, gap) for place, name in enumerate(pictures.COLUMNS)}
        for arm, gap in (("baseline", None), ("crt", -3.0), ("prefix", -0.5))
    }
    claim = {"number": pictures.WHOLE, "against": "baseline"}
    gap = {arm: arms[arm][pictures.WHOLE]["difference"] for arm in ("crt", "prefix")}
    claims = [
        {**claim, "arm": "crt", "verdict": "holds", "difference": gap["crt"]},
        {**claim, "arm": "prefix", "verdict": "does not hold: the interval has 0 inside", "difference": gap["prefix"]},
        {**claim, "arm": "prefix", "against": "crt", "verdict": "not measured", "difference": None},
    ]
    sweep = {"baseline": "baseline", "arms": arms, "claims": claims}
    sums = {"alone": 70.0, "context": 20.0, "rest": 110.0}
    runs = [
        {"arm": arm, "group": arm, "seed": seed, "sums": {**sums, "alone": 70.0 - seed * place}}
        for place, arm in enumerate(arms)
        for seed in (0, 1)
    ]
    (tmp_path / "tokenizers-2026-time.json").write_text(json.dumps(sweep))
    (tmp_path / "tokenizers-2026-time-bits.json").write_text(json.dumps({"baseline": "baseline", "runs": runs}))

    records = pictures.read(tmp_path)
    pictures.draw(records, tmp_path / "picture.png")

    assert set(records) == {"tokenizers-2026-time", "tokenizers-2026-time-bits"}
    assert pictures.answer(records["tokenizers-2026-time"]) == (
        "crt (-3.00 ± 1.00 (5/5)) of 2 below baseline; none of 1 below crt"
    )
    assert next(iter(pictures.rows(sweep))) == "| baseline | " + " | ".join(
        f"{50 + place:.2f} ± 2.00" for place in range(5)
    ) + " |"  # fmt: skip
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    pictures.draw_larger({"scenes": sweep, "photographs": sweep}, tmp_path / "larger.png")
    assert (tmp_path / "larger.png").read_bytes().startswith(b"\x89PNG")
