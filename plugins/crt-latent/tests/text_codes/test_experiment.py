"""The experiment `text-codes`: what it measures of held-out text, and parts that it refuses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from crt_basics.bottlenecks.specs import FSQ
from crt_basics.priors.table import TablePrior
from crt_latent.text_chunks.spec import TextChunks
from crt_latent.text_chunks.tokenizer import ChunkTokenizer
from crt_latent.text_codes.experiment import measured
from crt_run.runs.execute import execute
from crtcore import discover
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import SpecError
from crtcore.kinds import Batch, Plan

THINK, ANSWER, END = 8, 9, 10
SMALL: dict[str, Any] = {
    "name": "small",
    "experiment": {"use": "text-codes", "evaluations": 2},
    "dataset": {"use": "as-steps", "samples": 24, "dataset": {"use": "python-source", "length": 32}},
    "tokenizer": {"use": "text-chunks", "chunk": 8, "rate": 4, "width": 8, "heads": 2, "prompted": False},
    "bottleneck": {"use": "fsq", "levels": [3, 3]},
    "prior": {"use": "table", "order": 1},
    "training": {stage: {"steps": 4, "batch": 8} for stage in ("tokenizer", "prior")},
}
HERE: Any = {"device": torch.device("cpu"), "stopping": lambda: False}


class Texts:
    """Two held-out texts, of eight ids and of three."""

    classes, levels, vocabulary, checksum = None, None, 11, "0" * 64
    sizes = {"train": 2, "validation": 2, "test": 2}  # noqa: RUF012

    def take(self, split: str, indices: Tensor) -> Batch:
        rows = [[THINK, 0, 1, 2, 3, 4, 5, 6, 7, ANSWER, END], [THINK, 0, 0, 7, ANSWER, END] + [-1] * 5]
        return Batch(torch.tensor(rows)[indices], None, None)


def uniform() -> TablePrior:
    """A prior to which all of 9 codes are alike."""
    return TablePrior(torch.zeros(1, 1, 9))


def indifferent() -> ChunkTokenizer:
    """A tokenizer whose decoder gives all 11 ids the same logit, so that id 0 comes first."""
    torch.manual_seed(0)
    data = Texts().take("train", torch.arange(2)).data
    spec = TextChunks(chunk=4, rate=2, width=8, heads=2, prompted=False)
    tokenizer = spec.build(FSQ(levels=(3, 3)).build(), data, 11)
    torch.nn.init.zeros_(tokenizer.head.weight)
    torch.nn.init.zeros_(tokenizer.head.bias)
    return tokenizer


def plan(**tables: Any) -> Plan:
    (point,) = study(Document(SMALL | tables, {}), discover()).points
    return point.plan


def test_bits_are_those_of_uniform_models() -> None:
    """Eleven ids in six codes: four of the first text, two of the second."""
    numbers = measured(Texts(), indifferent(), uniform(), **HERE)

    code, text = 6 * math.log2(9) / 11, math.log2(11)
    assert numbers["code_bits"].value == pytest.approx(code)
    assert numbers["text_given_codes_bits"].value == pytest.approx(text)
    assert numbers["two_part_bits"].value == pytest.approx(code + text)


def test_accuracy_counts_the_ids_that_the_decoder_ranks_first() -> None:
    numbers = measured(Texts(), indifferent(), uniform(), **HERE)

    assert numbers["reconstruction_accuracy"].value == pytest.approx(3 / 11)


def test_codes_used_are_those_of_held_out_text() -> None:
    tokenizer = indifferent()
    ids = tokenizer.encode(Texts().take("test", torch.arange(2)).data)

    numbers = measured(Texts(), tokenizer, uniform(), **HERE)

    assert numbers["codes_used"].value == len(set(ids[ids >= 0].tolist()))


def test_a_run_trains_both_stages_and_measures(tmp_path: Path) -> None:
    numbers = {name: each["value"] for name, each in execute(plan(), tmp_path)["numbers"].items()}

    assert numbers["two_part_bits"] == pytest.approx(numbers["code_bits"] + numbers["text_given_codes_bits"])
    assert 0 < numbers["code_bits"] < 2 * math.log2(9) / 4
    assert 0 <= numbers["reconstruction_accuracy"] <= 1


def test_a_dataset_without_traces_is_named() -> None:
    with pytest.raises(SpecError, match=r"dataset\.use: expected a dataset of traces, got 'ids' data"):
        plan(dataset={"use": "python-source"})
